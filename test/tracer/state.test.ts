// --state: pid and id from the state that a runtime writes to a hook's standard input, which may hold hostile annotations.

import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { execa } from 'execa'
import t from 'tap'
import { parseJson } from '../../src/json.ts'
import { Random } from '../lib/random.ts'
import { allowOnly } from './bpf.ts'
import {
  type Bundle,
  containerId,
  countsOf,
  fixtures,
  makeBundle,
  noProcessOf,
  readLines,
  run,
  runCrun,
  type Teardown,
  temporary,
  tracer,
  until,
} from './harness.ts'

const filterFile = async (t: Teardown): Promise<string> => {
  const file = join(await temporary(t), 'filter')
  await writeFile(file, allowOnly([1, 231])) // write, exit_group
  return file
}

const valid = { ociVersion: '1.0.2', id: 'c1', status: 'creating', pid: 4194304, bundle: '/b' }
const hostile = {
  pid: '1',
  id: 'other',
  'x","pid":1,"y': '","pid":2,"status":"stopped","z":"',
  braces: '}}}]]]{{{[[["\\',
  escapes: '\u0000\u001f\u2028 \ud83d\ude00 é "quoted" \\u0022,\\"pid\\":3',
  [`${'k'.repeat(70_000)}pid`]: 'v'.repeat(70_000),
}

/** What is refused, and the words that say so. */
const refusals: [state: string, problem: RegExp][] = [
  ['', /expected an object at byte 0/],
  ['  [1]', /expected an object at byte 2/],
  ['{', /expected a string in double quotes at byte 1/],
  ['{"id":"c1","pid":5,"status":"created"', /expected a comma or \} at byte 37/],
  ['{"id":"c1","pid":5,"status":"created",}', /expected a string in double quotes at byte 38/],
  ['{"id":"c1","pid":5,"status":"created"}{', /expected the end of the text at byte 38/],
  ['{"id":"c1","pid":5,"status":"created"}\0', /expected the end of the text at byte 38/],
  ['{"id":"c1","pid":5,"status":"created","pid":6}', /a second "pid"/],
  ['{"id":"c1","pid":5,"status":"created","\\u0070id":6}', /a second "pid"/],
  ['{"id":"c1","id":"c2","pid":5,"status":"created"}', /a second "id"/],
  ['{"id":"c1","pid":5,"status":"created","status":"creating"}', /a second "status"/],
  ['{"pid":5,"status":"created"}', /"id" is missing/],
  ['{"id":"","pid":5,"status":"created"}', /"id": expected the container's id/],
  ['{"id":7,"pid":5,"status":"created"}', /"id": expected the container's id/],
  ['{"id":"a\\u0000b","pid":5,"status":"created"}', /"id": expected the container's id/],
  ['{"id":"\\ud800","pid":5,"status":"created"}', /"id": expected the container's id/],
  [`{"id":"${'i'.repeat(1025)}","pid":5,"status":"created"}`, /"id": expected .* at most 1024 bytes/],
  ['{"id":"c1","pid":5}', /"status" is missing/],
  ['{"id":"c1","pid":5,"status":"\\nnonsense"}', /"status": expected creating, created, running or stopped/],
  ['{"id":"c1","pid":5,"status":"running"}', /the container is running; put this hook into createRuntime/],
  ['{"id":"c1","status":"stopped"}', /the container is stopped; put this hook into createRuntime/],
  ['{"id":"c1","status":"created"}', /"pid" is missing/],
  ['{"id":"c1","annotations":{"pid":"5"},"status":"created"}', /"pid" is missing/],
  ...['0', '1', '-5', '4194305', '9223372036854775807'].map((pid): [string, RegExp] => [
    `{"id":"c1","pid":${pid},"status":"created"}`,
    new RegExp(`"pid" is ${pid}; put`),
  ]),
  ...['9223372036854775808', '-9223372036854775809', '5.0', '5e0', `${'9'.repeat(400)}`].map(
    (pid): [string, RegExp] => [`{"id":"c1","pid":${pid},"status":"created"}`, /expected a whole number .* at byte 17/],
  ),
  ...['"5"', 'null', '{}', '[5]', 'true'].map((pid): [string, RegExp] => [
    `{"id":"c1","pid":${pid},"status":"created"}`,
    /expected a number at byte 17/,
  ]),
  ...[
    '05',
    '+5',
    '.5',
    '5.',
    '5e',
    '0x5',
    '-',
    'nul',
    'tru',
    'NaN',
    "'5'",
    '"\\x41"',
    '"\\u12g4"',
    '"a\tb"',
    '"open',
  ].map((value): [string, RegExp] => [`{"id":"c1","pid":5,"status":"created","x":${value}}`, / at byte \d+ /]),
  [`{"id":"c1","pid":5,"status":"created","x":${'['.repeat(100)}${']'.repeat(100)}}`, /nested too deep at byte 142/],
  [`{"id":"c1","pid":5,"status":"created","x":${'[{"a":'.repeat(100_000)}`, /nested too deep/],
]

t.test('a state that is refused', async (t) => {
  const filter = await filterFile(t)
  const directory = await temporary(t)
  const journal = join(directory, 'journal')
  const ways = [
    ['enforce', '--state', '--filter', filter, '--journal', journal],
    ['learn', '--state', '--output', join(directory, 'stream')],
  ]
  for (const [input, problem] of refusals) {
    for (const args of ways) {
      const { exitCode, stderr } = await execa(tracer, args, { input, reject: false, env: {}, extendEnv: false })
      t.equal(exitCode, 1, input.slice(0, 80))
      t.match(stderr, problem)
      t.match(stderr, /^oci-sandbox-tracer: \w+: the container's state on standard input: [^\n]*$/)
    }
  }
  const lines = await readLines(journal)
  t.equal(lines.length, refusals.length, 'each refusal is in the journal')
  t.match(lines.at(3), { event: 'refused', container: 'c1', message: /expected a comma/ })
  await t.rejects(readFile(join(directory, 'stream')), { code: 'ENOENT' })
})

t.test('usage', async (t) => {
  const neither = /expected one of --pid and --state/
  for (const more of [
    ['--filter', 'f'],
    ['--state', '--pid', '5', '--filter', 'f'],
  ])
    t.match(await execa(tracer, ['enforce', ...more], { reject: false }), { exitCode: 2, stderr: neither })
  for (const more of [
    ['--output', 'f'],
    ['--state', '--pid', '5', '--output', 'f'],
  ])
    t.match(await execa(tracer, ['learn', ...more], { reject: false }), { exitCode: 2, stderr: neither })
})

t.test('how much is read', async (t) => {
  const args = ['learn', '--state', '--output', join(await temporary(t), 'stream')]
  const text = JSON.stringify(valid)
  const most = text + ' '.repeat((1 << 20) - text.length)
  const gone = /cannot attach to pid 4194304: No such process/
  t.match(await execa(tracer, args, { input: most, reject: false }), { exitCode: 1, stderr: gone })
  const longer = await execa(tracer, args, { input: `${most} `, reject: false })
  t.match(longer, { exitCode: 1, stderr: /standard input is longer than 1048576 bytes/ })
  const slow = execa(tracer, args, { reject: false })
  for (const character of text) await new Promise((resolve) => slow.stdin.write(character, resolve))
  slow.stdin.end()
  t.match(await slow, { exitCode: 1, stderr: gone }, 'a byte at a time')
  const closed = await execa('sh', ['-c', 'exec "$@" <&-', 'sh', tracer, ...args], { reject: false })
  t.match(closed, { exitCode: 1, stderr: /cannot read the container's state from standard input: Bad file descriptor/ })
})

/** The tracer itself as a hook, with an empty environment, among hostile annotations. */
const withHook = async (bundle: Bundle, stage: string, args: string[]): Promise<void> => {
  const file = join(bundle.directory, 'config.json')
  const config = JSON.parse(await readFile(file, 'utf8'))
  config.hooks = { [stage]: [{ path: tracer, args: ['oci-sandbox-tracer', ...args], env: [] }] }
  config.annotations = hostile
  await writeFile(file, JSON.stringify(config))
}

for (const [runtime, runContainer] of Object.entries({ runc: run, crun: runCrun })) {
  for (const stage of ['createRuntime', 'prestart']) {
    t.test(`${runtime}: the tracer as a ${stage} hook`, async (t) => {
      const filter = await filterFile(t)
      const enforced = await makeBundle(t, { args: ['/bin/mini'] })
      await withHook(enforced, stage, ['enforce', '--state', '--filter', filter, '--journal', enforced.journal])
      const id = containerId()
      const { exitCode, stdout } = await runContainer(enforced, id)
      t.match({ exitCode, stdout }, { exitCode: 7, stdout: 'mini' })
      const inForce = async () => (await readLines(enforced.journal)).find((line) => line.event === 'in-force')
      t.equal((await until('in-force is in the journal', inForce)).container, id)
      await noProcessOf(enforced)

      const refused = await makeBundle(t, { args: ['/bin/exact'] })
      await withHook(refused, stage, ['enforce', '--state', '--filter', filter])
      t.equal((await runContainer(refused)).exitCode, 128 + 31, 'a call outside of the policy kills')

      const learned = await makeBundle(t, { args: ['/bin/exact'] })
      await withHook(learned, stage, ['learn', '--state', '--output', 'stream']) // relative to the bundle
      t.equal((await runContainer(learned)).exitCode, 6)
      const finish = async () => (await readLines(learned.output)).find((line) => line.event === 'finish')
      t.match(await until('the record has its end', finish), { complete: true, exit: { code: 6 } })
      const lines = await readLines(learned.output)
      t.same(countsOf(lines), { 'x86_64:1': 1, 'x86_64:39': 3, 'x86_64:102': 2, 'x86_64:231': 1 })
      await noProcessOf(learned)
    })
  }

  t.test(`${runtime}: at a stage within the container it refuses`, async (t) => {
    const bundle = await makeBundle(t, { args: ['/bin/mini'] })
    await withHook(bundle, 'createContainer', [
      'enforce',
      '--state',
      '--filter',
      await filterFile(t),
      '--journal',
      bundle.journal,
    ])
    const { exitCode, stdout } = await runContainer(bundle)
    t.not(exitCode, 7)
    t.equal(stdout, '')
    t.match(await readLines(bundle.journal), [
      { event: 'refused', message: /"pid" is [01]; put this hook into createRuntime/ },
    ])
    await noProcessOf(bundle)
  })
}

const seeds = [
  valid,
  { ...valid, status: 'created', pid: 77, annotations: { ...hostile, [`${'k'.repeat(70)}`]: 'v'.repeat(70) } },
  {
    annotations: hostile,
    pid: 12,
    id: 'é\u{1f600}',
    status: 'creating',
    owner: '',
    root: '/r',
    a: [1.5e-3, -0, null, [], {}],
  },
].map((state) =>
  Buffer.from(
    JSON.stringify(state)
      .replace('é', '\\u00e9')
      .replace(/[kv]{70000}/g, 'k'),
  ),
)

t.test('mutated states: no memory error, nothing accepted that must not be', async (t) => {
  const count = process.env.TEST_ALL ? 1_000_000 : 200_000
  const input = seeds.map((seed) => `${seed.toString('hex')}\n`).join('')
  const { stdout } = await execa(join(fixtures, 'statefuzz'), ['mutate', String(count), '1'], { input })
  const accepted = Number(stdout)
  t.ok(accepted > count / 100 && accepted < count / 2, `${accepted} of ${count} are still valid`)
})

/** What the state says by a parser that is not the tracer's; undefined: to be refused. */
const expected = (bytes: Buffer, parse: (text: string) => unknown): string | undefined => {
  try {
    const { pid, id, status } = parse(bytes.toString()) as Record<string, unknown>
    if (!(typeof pid === 'number' && Number.isInteger(pid) && pid > 1 && pid <= 4194304)) return undefined
    if (!(typeof id === 'string' && id !== '' && id.isWellFormed() && !id.includes('\0'))) return undefined
    if (status !== 'creating' && status !== 'created') return undefined
    return `${pid} ${id}`
  } catch {
    return undefined
  }
}

t.test('mutated states: the same answers as the parser of the hooks in TypeScript', async (t) => {
  const random = new Random(9)
  const pieces = [...'"\\{}[],:01-.eu \n', '"pid":9,', '\\u0031', '1.0', 'null', '"status":"created",']
  const inputs = Array.from({ length: process.env.TEST_ALL ? 100_000 : 5_000 }, () => {
    const seed = random.pick(seeds)
    const at = random.below(seed.length)
    const cut = random.chance(0.5) ? random.below(4) : 0
    const put = Buffer.from(random.chance(0.8) ? random.pick(pieces) : '')
    return Buffer.concat([seed.subarray(0, at), put, seed.subarray(at + cut)])
  })
  const input = inputs.map((bytes) => `${bytes.toString('hex')}\n`).join('')
  const { stdout } = await execa(join(fixtures, 'statefuzz'), ['decode'], { input, maxBuffer: 1 << 28 })
  const answers = stdout.split('\n').map((line) => {
    const [, pid, id] = line.match(/^(\d+) ([0-9a-f]+)$/) ?? []
    return id === undefined ? undefined : `${pid} ${Buffer.from(id, 'hex')}`
  })
  t.equal(answers.length, inputs.length)
  const tally = { accepted: 0, refused: 0, 'a key twice': 0, 'no plain integer': 0 }
  const differing = inputs.filter((bytes, i) => {
    const answer = answers[i]
    const wanted = expected(bytes, parseJson)
    if (answer === wanted) tally[answer === undefined ? 'refused' : 'accepted']++
    else if (wanted === undefined && answer === expected(bytes, JSON.parse)) tally['a key twice']++
    else if (answer === undefined && /pid"\s*:\s*\d+[.eE]/.test(bytes.toString())) tally['no plain integer']++
    else return true
    return false
  })
  t.same(differing.map(String), [])
  t.ok(tally.accepted > inputs.length / 10 && tally.refused > inputs.length / 10, JSON.stringify(tally))
})
