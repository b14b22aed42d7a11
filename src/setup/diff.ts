/** Two texts -> a unified diff, as diff -u writes it. */

const CONTEXT = 3

interface Line {
  readonly sign: ' ' | '-' | '+'
  readonly text: string
}

/** Empty where nothing differs. A text that is undefined is a file that is not there. */
export function unifiedDiff(path: string, before: string | undefined, after: string | undefined): string {
  if (before === after) return ''
  const script = compare(linesOf(before), linesOf(after))
  const names = [before === undefined ? '/dev/null' : path, after === undefined ? '/dev/null' : path]
  return `--- ${names[0]}\n+++ ${names[1]}\n${hunks(script).join('')}`
}

/** With their line ends; a last line without one gets diff's remark. */
function linesOf(text = ''): string[] {
  const lines = text.match(/[^\n]*\n|[^\n]+$/g) ?? []
  return lines.map((line) => (line.endsWith('\n') ? line : `${line}\n\\ No newline at end of file\n`))
}

/** The longest common subsequence, by the classic table; what the texts begin and end with alike is left out of it. */
function compare(a: readonly string[], b: readonly string[]): Line[] {
  let start = 0
  while (start < a.length && start < b.length && a[start] === b[start]) start++
  let end = 0
  while (end < a.length - start && end < b.length - start && a.at(-1 - end) === b.at(-1 - end)) end++
  const left = a.slice(start, a.length - end)
  const right = b.slice(start, b.length - end)
  const same = (text: string): Line => ({ sign: ' ', text })
  return [...a.slice(0, start).map(same), ...changed(left, right), ...a.slice(a.length - end).map(same)]
}

function changed(a: readonly string[], b: readonly string[]): Line[] {
  const width = b.length + 1
  const common = new Uint32Array((a.length + 1) * width)
  const at = (i: number, j: number) => common[i * width + j] as number
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      common[i * width + j] = a[i] === b[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1))
    }
  }
  const script: Line[] = []
  for (let i = 0, j = 0; i < a.length || j < b.length; ) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      script.push({ sign: ' ', text: a[i++] as string })
      j++
    } else if (i < a.length && (j === b.length || at(i + 1, j) >= at(i, j + 1))) {
      script.push({ sign: '-', text: a[i++] as string })
    } else script.push({ sign: '+', text: b[j++] as string })
  }
  return script
}

function hunks(script: readonly Line[]): string[] {
  const texts: string[] = []
  let first = script.findIndex(({ sign }) => sign !== ' ')
  while (first !== -1) {
    let last = first
    for (let index = first; index < script.length && index - last <= 2 * CONTEXT; index++) {
      if (script[index]?.sign !== ' ') last = index
    }
    texts.push(hunk(script, Math.max(0, first - CONTEXT), Math.min(script.length, last + 1 + CONTEXT)))
    first = script.findIndex(({ sign }, index) => index > last && sign !== ' ')
  }
  return texts
}

function hunk(script: readonly Line[], from: number, to: number): string {
  const lines = script.slice(from, to)
  const range = (absent: Line['sign']) => {
    const before = script.slice(0, from).filter(({ sign }) => sign !== absent).length
    const length = lines.filter(({ sign }) => sign !== absent).length
    const line = length === 0 ? before : before + 1
    return length === 1 ? `${line}` : `${line},${length}`
  }
  return `@@ -${range('+')} +${range('-')} @@\n${lines.map(({ sign, text }) => sign + text).join('')}`
}
