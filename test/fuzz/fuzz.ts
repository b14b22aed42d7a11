/**
 * A fuzzer: mutations of a corpus, the same ones for a seed. What a parser may throw is a SandboxError (or JsonError); what else
 * it throws, and what takes seconds, is a defect, and is shown with the input. An input that found one belongs into test/corpus/.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { SandboxError } from '../../src/errors.ts'
import { JsonError } from '../../src/json.ts'
import { Random } from '../lib/random.ts'

const CORPUS = join(import.meta.dirname, '../corpus')

/** All targets together make a million inputs in TEST_ALL, and some thousand otherwise. */
export const ALL = process.env.TEST_ALL === '1'

/** What a test of a target may take, on a machine with other work. */
export const LONG = { timeout: ALL ? 3_600_000 : 240_000 }

/** Longer inputs are cut: a defect fits a short one, and there are more of them. Characters. */
const MAX_LENGTH = 5000
/** Much longer than any input takes, also on a machine with other work. Milliseconds. */
const TOO_LONG = 10_000

/** What every text format may trip over. */
const TOKENS = [
  ...[
    '',
    '\0',
    '\n',
    '\r\n',
    '\u2028',
    '\ufeff',
    '\ud800',
    '\u{1f600}',
    '"',
    "'",
    '\\',
    '{',
    '}',
    '[',
    ']',
    ',',
    ':',
    '=',
    '~',
    '@',
  ],
  ...[
    '0',
    '-1',
    '1e999',
    '-0',
    '0x',
    '4294967295',
    '4294967296',
    '9007199254740993',
    '18446744073709551615',
    '18446744073709551616',
  ],
  ...[
    'null',
    'true',
    '[]',
    '{}',
    '""',
    '"__proto__"',
    '"constructor"',
    '"length"',
    '__proto__',
    'constructor',
    'toString',
    'NaN',
  ],
  ...[
    'read',
    'socket',
    'range',
    '"to": 9',
    'x32',
    'x86',
    'SCMP_ACT_ALLOW',
    'SCMP_CMP_NE',
    'masked==',
    '../..',
    'a'.repeat(200),
    '('.repeat(50),
    '['.repeat(150),
  ],
]

export interface Target {
  readonly name: string
  /** The folder of test/corpus, or the texts themselves. */
  readonly corpus: string | readonly string[]
  /** How many inputs of a million. */
  readonly share: number
  /** May throw SandboxError and JsonError. What it finds wrong with a result it throws as another Error. */
  run(text: string): void
}

interface Test {
  fail(message: string, extra: object): unknown
  ok(value: unknown, message: string): unknown
}

/** Runs a target over its corpus and over mutations of it. */
export function fuzz(t: Test, { name, corpus, share, run }: Target): void {
  const texts = typeof corpus === 'string' ? read(corpus) : corpus
  const random = new Random(hash(name))
  const times = ALL ? share : Math.ceil(share / 200)
  const counts = { taken: 0, refused: 0 }
  for (let round = 0; round < times; round++) {
    const text = round < texts.length ? (texts[round] as string) : mutated(random, texts)
    const started = performance.now()
    try {
      run(text)
      counts.taken++
    } catch (error) {
      if (!(error instanceof SandboxError) && !(error instanceof JsonError)) {
        t.fail(`${name}: ${error}`, { round, text, stack: error instanceof Error ? error.stack : undefined })
        return
      }
      if (error instanceof SandboxError && error.code === 'INTERNAL') {
        t.fail(`${name}: ${error.message}`, { round, text })
        return
      }
      counts.refused++
    }
    if (performance.now() - started > TOO_LONG) {
      t.fail(`${name}: took ${Math.round(performance.now() - started)} ms`, { round, text })
      return
    }
  }
  t.ok(counts.taken > 0, `${name}: ${times} inputs, ${counts.taken} taken, ${counts.refused} refused`)
}

function read(folder: string): string[] {
  const directory = join(CORPUS, folder)
  return readdirSync(directory)
    .sort()
    .map((file) => readFileSync(join(directory, file), 'utf8'))
}

function hash(text: string): number {
  return [...text].reduce((sum, character) => (Math.imul(sum, 31) + character.charCodeAt(0)) >>> 0, 7)
}

function mutated(random: Random, texts: readonly string[]): string {
  let text = piece(random, random.pick(texts))
  // Most inputs are nearly right: those get furthest.
  for (let steps = random.chance(0.6) ? 1 : 1 + random.below(6); steps > 0; steps--) text = mutate(random, text, texts)
  return text.slice(0, MAX_LENGTH)
}

/** A whole text, or some of its lines. */
function piece(random: Random, text: string): string {
  if (text.length <= MAX_LENGTH && random.chance(0.9)) return text
  const lines = text.split('\n')
  const start = random.below(lines.length)
  return `${lines.slice(start, start + 1 + random.below(20)).join('\n')}\n`.slice(0, MAX_LENGTH)
}

function mutate(random: Random, text: string, texts: readonly string[]): string {
  const at = random.below(text.length + 1)
  const end = Math.min(text.length, at + 1 + random.below(random.chance(0.8) ? 8 : 200))
  switch (random.below(9)) {
    case 0: // another character
      return (
        text.slice(0, at) + String.fromCharCode(random.below(random.chance(0.9) ? 128 : 65536)) + text.slice(at + 1)
      )
    case 1: // without a part
      return text.slice(0, at) + text.slice(end)
    case 2: // a part twice
      return text.slice(0, end) + text.slice(at)
    case 3: // something that parsers trip over
      return text.slice(0, at) + random.pick(TOKENS) + text.slice(at)
    case 4: // in place of a part
      return text.slice(0, at) + random.pick(TOKENS) + text.slice(end)
    case 5: // cut off
      return text.slice(0, at)
    case 6: // a part of another text
      return text.slice(0, at) + piece(random, random.pick(texts)).slice(0, 300) + text.slice(end)
    case 7: {
      // another number
      const number = /-?\d+/g
      const found = [...text.matchAll(number)]
      if (found.length === 0) return text
      const { index, 0: old } = random.pick(found)
      return (
        text.slice(0, index) +
        random.pick(['0', '-1', '6', '64', '255', '4294967296', '1e400', '0.5', '18446744073709551615']) +
        text.slice(index + old.length)
      )
    }
    default: {
      // a word in place of another one
      const words = [...text.matchAll(/[A-Za-z_][A-Za-z0-9_]*/g)]
      if (words.length < 2) return text
      const [one, other] = [random.pick(words), random.pick(words)]
      return text.slice(0, one.index) + other[0] + text.slice(one.index + one[0].length)
    }
  }
}
