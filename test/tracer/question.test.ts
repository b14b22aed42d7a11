/** The question that the helper finds in a state is the one that the hook in TypeScript answers, or there is none. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execa } from 'execa'
import { test } from 'tap'
import { SandboxError } from '../../src/errors.ts'
import { DECIDING_KEYS, decidingAnnotations, encodeQuestion } from '../../src/oci/question.ts'
import { decodeState } from '../../src/oci/state.ts'
import { damaged, Random } from '../lib/random.ts'

const ROOT = join(import.meta.dirname, '../..')
const TRACER = join(ROOT, 'tracer')

/** The answers of tracer/repeat/question.c, compiled with the sanitizers; undefined: it is not sure. */
async function questionsOf(t: { teardown(handler: () => void): void }, states: readonly Buffer[]) {
  const directory = mkdtempSync(join(tmpdir(), 'oci-sandbox-test-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  const program = join(directory, 'questions')
  const sources = ['repeat/question.c', 'base/strict.c', 'base/json.c', 'base/text.c'].map((name) => join(TRACER, name))
  const flags = ['-std=gnu11', '-D_GNU_SOURCE', '-O1', '-Wall', '-Wextra', '-Werror', '-fsanitize=address,undefined']
  const main = join(import.meta.dirname, 'fixtures/questions.c')
  await execa('gcc', [...flags, '-fno-sanitize-recover=all', '-I', TRACER, '-o', program, main, ...sources])
  const input = Buffer.concat(states.flatMap((state) => [Buffer.from(`${state.length}\n`), state]))
  const { stdout } = await execa(program, { input, encoding: 'buffer', maxBuffer: 1 << 28, stripFinalNewline: false })
  let at = 0
  const output = Buffer.from(stdout)
  const word = () => {
    const end = output.indexOf(' ', at)
    const text = output.toString('latin1', at, end)
    at = end + 1
    return text
  }
  const bytes = (length: number) => {
    at += length + 1
    return output.toString('latin1', at - length - 1, at - 1)
  }
  return states.map(() => {
    if (output[at] === 0x3f && output[at + 1] === 0x0a) {
      at += 2
      return undefined
    }
    const id = bytes(Number(word()))
    const pid = Number(word())
    const waiting = word() === '1'
    return { id, pid, waiting, question: bytes(Number(word())) }
  })
}

/** What the hook in TypeScript reads in a state; undefined: it refuses it. */
function read(bytes: Buffer) {
  try {
    const state = decodeState(bytes.toString('utf8'))
    const question = encodeQuestion(state.status, decidingAnnotations(state.annotations))
    const latin = (text: string) => Buffer.from(text).toString('latin1')
    const waiting = state.status === 'creating' || state.status === 'created'
    return { id: latin(state.id), pid: state.pid ?? -1, waiting, question: question && latin(question) }
  } catch (error) {
    if (error instanceof SandboxError) return undefined
    throw error
  }
}

const OURS = ['mode', 'policy', 'detail', 'action', 'odd', ''].map((key) => `io.sandbox.${key}`)
const OTHERS = [
  '',
  'x',
  'io.sandbox',
  'IO.SANDBOX.mode',
  'org.opencontainers.image.ref',
  'io.kubernetes.cri.image-namee',
]
const VALUES = [
  '',
  'learn',
  'enforce',
  'web',
  'a=b\n9 9 c',
  'docker.io/library/nginx:1',
  'é😀',
  '\u2028"\\',
  'sandbox',
  '\0',
  '\ud800',
]

/** As runtimes write it, with odd things in it now and then. */
function stateOf(random: Random): Record<string, unknown> {
  const keys = random.shuffled([...OURS, ...DECIDING_KEYS, ...OTHERS]).slice(0, random.below(8))
  const annotations = Object.fromEntries(
    keys.map((key) => [key, random.pick(VALUES.slice(0, random.chance(0.9) ? -2 : undefined))]),
  )
  return {
    ociVersion: '1.0.2',
    id: random.chance(0.95) ? `c${random.below(10)}` : random.pick(VALUES),
    status: random.chance(0.97) ? random.pick(['creating', 'created', 'running', 'stopped']) : 'paused',
    ...(random.chance(0.9) ? { pid: random.pick([0, 1, 2, 4711, 4194304, 4194305, 2 ** 53 - 1]) } : {}),
    bundle: random.chance(0.97) ? '/b' : 'b',
    ...(random.chance(0.9) ? { annotations } : {}),
    ...(random.chance(0.2) ? { root: '/r', created: '2026-11-21T00:00:00Z' } : {}),
    ...(random.chance(0.05) ? { more: random.pick([null, true, {}, [], 1.5, { a: 1 }, 2 ** 60]) } : {}),
  }
}

/** What damages it. */
const TOKENS = [
  '"',
  '{',
  '}',
  ',',
  ':',
  '\\',
  '\\u0000',
  '\\ud800',
  '\x80',
  '\xff\xfe',
  '\0',
  '"pid":1,',
  '"status":"stopped",',
  ' ',
]

/** Escapes that mean the same. */
function escaped(random: Random, text: string): string {
  return text.replace(/[a-z.]/g, (letter) =>
    random.chance(0.05) ? `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}` : letter,
  )
}

test('the same question, or none', async (t) => {
  const random = new Random(15)
  const plain = Array.from({ length: 3000 }, () => Buffer.from(JSON.stringify(stateOf(random))))
  const altered = plain.map((state) => Buffer.from(escaped(random, state.toString()).replaceAll('\\u0074rue', 'true')))
  const broken = plain.flatMap((state) => [damaged(random, state, TOKENS, 3), damaged(random, state, TOKENS, 3)])
  const corpus = ['created', 'stopped'].map((name) => readFileSync(join(ROOT, `test/corpus/state/${name}.json`)))
  const states = [...corpus, ...plain, ...altered, ...broken]
  const found = await questionsOf(t, states)
  let both = 0
  const wrong: unknown[] = []
  for (const [index, state] of states.entries()) {
    const ours = found[index]
    if (ours === undefined) continue
    const theirs = read(state)
    if (JSON.stringify(ours) === JSON.stringify(theirs)) both++
    else wrong.push({ state: state.toString('latin1'), ours, theirs })
  }
  t.same(wrong.slice(0, 3), [])
  t.ok(both > 4000, `most states of runtimes have one: ${both} of ${states.length}`)
  t.not(found[0], undefined, 'so have those that runtimes really write')
})

test('two states that differ in what decides have two questions', async (t) => {
  const base = { id: 'c', status: 'creating', pid: 5, bundle: '/b' }
  const sets: Record<string, string>[] = [
    {},
    { 'io.sandbox.mode': 'enforce' },
    { 'io.sandbox.mode': 'enforce\n' },
    { 'io.sandbox.mode': '' },
    { 'io.sandbox.mod': 'e=enforce' },
    { 'io.sandbox.mode': 'enforce', 'io.sandbox.policy': 'a' },
    { 'io.sandbox.mode': 'enforce\n17 1 io.sandbox.policy=a' },
    ...DECIDING_KEYS.map((key) => ({ [key]: 'x' })),
  ]
  const states = [
    ...sets.map((annotations) => ({ ...base, annotations })),
    { ...base, status: 'created' },
    { ...base, status: 'stopped' },
  ]
  const found = await questionsOf(
    t,
    states.map((state) => Buffer.from(JSON.stringify(state))),
  )
  t.equal(new Set(found.map((one) => one?.question)).size, states.length)
})

test('the headers are what scripts/generate-headers.ts writes', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'oci-sandbox-test-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  await execa(process.execPath, [join(ROOT, 'scripts/generate-headers.ts'), directory])
  for (const name of readdirSync(directory)) {
    t.equal(readFileSync(join(TRACER, 'repeat', name), 'utf8'), readFileSync(join(directory, name), 'utf8'), name)
  }
})
