/** What the demo prints, and whether it may end well: every check is printed, and one that fails fails the demo. */
import { styleText } from 'node:util'
import type { Mode } from './bundle.ts'

export class Report {
  failures = 0
  readonly #summary: string[] = []

  stage(title: string): void {
    console.log(`\n${styleText('bold', `== ${title}`)}`)
  }

  /** What a program printed, or another detail; indented. */
  detail(text: string): void {
    if (text !== '') console.log(text.replace(/^/gm, '   '))
  }

  /** Prints whether a claim holds, and if not, what was found; gives back whether it holds. */
  check(claim: string, holds: boolean, found: string): boolean {
    if (holds) {
      console.log(`${styleText('green', 'ok')} ${claim}`)
    } else {
      this.failures++
      console.log(`${styleText('red', 'FAILED')} ${claim}\n   found: ${found}`)
    }
    return holds
  }

  /** A line that is printed again at the end, among the dozen that say what happened. */
  summary(topic: string, text: string): void {
    this.#summary.push(`${topic.padEnd(28)} ${text}`)
  }

  /** One cost measured in the three modes. */
  costs(topic: string, unit: string, of: (mode: Mode) => number): void {
    const cost = (mode: Mode) => `${mode} ${Math.round(of(mode)).toLocaleString('en')}`
    this.summary(topic, `${cost('plain')}, ${cost('learn')}, ${cost('enforce')} ${unit}`)
  }

  end(): void {
    this.stage('What happened')
    for (const line of this.#summary) console.log(line)
    if (this.failures > 0) console.log(styleText('red', `demo: ${this.failures} of its checks FAILED, see above`))
  }
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length / 2
  const [low = Number.NaN, high = low] = sorted.slice(Math.ceil(middle) - 1, Math.floor(middle) + 1)
  return (low + high) / 2
}

/** The time that something took, in ms, and its result. */
export async function timed<T>(action: () => PromiseLike<T>): Promise<{ ms: number; result: T }> {
  const start = performance.now()
  const result = await action()
  return { ms: performance.now() - start, result }
}

/** Every item `times` times, in turn (a 1, b 1, a 2, b 2, ...), each with its count. */
export function* inTurn<T>(items: readonly T[], times: number): Generator<[count: number, item: T]> {
  for (let count = 1; count <= times; count++) for (const item of items) yield [count, item]
}
