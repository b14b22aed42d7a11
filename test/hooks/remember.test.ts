/**
 * The helper repeats a decision about the same question: with the same outcome as the program that decides, and only as long as nothing has
 * changed that the decision depended on.
 */
import { createHash } from 'node:crypto'
import {
  appendFileSync,
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { basename, join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { execa } from 'execa'
import { type Test, test } from 'tap'
import { encodePolicy } from '../../src/policy/document.ts'
import { policy } from '../lib/policies.ts'
import { processWithAll } from '../lib/processes.ts'
import { Random } from '../lib/random.ts'
import { ask, decide, recordOf, untilRepeated, watchedHook, writeRecord } from '../lib/remember.ts'
import { OCI_SANDBOX, Sandbox, TRACER } from '../lib/sandbox.ts'
import { startWaiting } from '../lib/waiting.ts'

const CALLS = [
  ...['write', 'exit_group', 'brk', 'mmap', 'openat', 'newfstatat', 'fstat', 'close', 'read', 'pread64', 'mprotect'],
  ...['munmap', 'access', 'arch_prctl', 'set_tid_address', 'set_robust_list', 'rseq', 'prlimit64', 'getrandom'],
  ...['restart_syscall', 'rt_sigreturn'],
]
const text = encodePolicy(policy(CALLS))

/** What a test may take on a machine with other work. */
const LONG = { timeout: 240_000 }

const digest = (data: Buffer) => createHash('sha256').update(data).digest('hex')

const stateOf = (annotations: Record<string, string>, more: object = {}) =>
  JSON.stringify({
    ociVersion: '1.0.2',
    id: 'c1',
    status: 'creating',
    pid: 4_194_303,
    bundle: '/b',
    annotations,
    ...more,
  })

const ENFORCE = { 'io.sandbox.mode': 'enforce', 'io.sandbox.policy': 'test' }

/** What the journal says, without what tells two runs apart. */
function journal(sandbox: Sandbox): object[] {
  const file = join(sandbox.store, 'journal.ndjson')
  if (!existsSync(file) || readFileSync(file, 'utf8') === '') return []
  return sandbox.journal().map((line) => ({ ...line, time: undefined, pid: undefined, container: undefined }))
}

/** The same once it has so many lines: the last one is written when the program runs already. */
async function journalOf(sandbox: Sandbox, lines: number): Promise<object[]> {
  for (let round = 0; round < 1000 && journal(sandbox).length < lines; round++) await pause(10)
  return journal(sandbox)
}

/** An enforced container, started and ended, whose decision is remembered afterwards. */
async function remembered(
  t: Test,
  config: object = {},
): Promise<{ sandbox: Sandbox; start: () => Promise<Started>; starts: number }> {
  const sandbox = await Sandbox.create(t, config)
  sandbox.writePolicy(text)
  const start = () => startOf(sandbox)
  for (let round = 0; round < 100; round++) {
    const { asked, exitCode, stderr } = await start()
    if (stderr !== '') throw new Error(`exit code ${exitCode}: ${stderr}`)
    if (!asked) return { sandbox, start, starts: round + 1 }
  }
  throw new Error('the decision is never remembered')
}

interface Started {
  readonly asked: boolean
  readonly exitCode: number | undefined
  readonly stdout: string
  readonly stderr: string
}

async function startOf(sandbox: Sandbox, more: object = {}): Promise<Started> {
  const { entry, asked } = watchedHook(sandbox)
  const args = ['/fixtures/act', 'hello', 'socket']
  const result = await sandbox.run({ mode: 'enforce', args, hooks: { createRuntime: [entry] }, ...more })
  return { ...result, asked: asked() }
}

test('an enforced container starts alike, whether the decision is made or repeated', LONG, async (t) => {
  for (const config of [
    {},
    { actions: ['kill'], logLevel: 'warning' },
    { setNoNewPrivileges: true, logLevel: 'error' },
  ]) {
    const { sandbox, start, starts } = await remembered(t, config)
    const lines = 'logLevel' in config ? 0 : 2
    const before = (await journalOf(sandbox, starts * lines)).length
    const direct = { path: OCI_SANDBOX, args: ['oci-sandbox', 'hook', 'enforce', '--config', sandbox.config] }
    const container = { mode: 'enforce', args: ['/fixtures/act', 'hello', 'socket'] } as const
    const made = await sandbox.run({ ...container, hooks: { createRuntime: [direct] } })
    const said = (await journalOf(sandbox, before + lines)).slice(before)
    t.match(await start(), { ...made, asked: false }, JSON.stringify(config))
    const again = (await journalOf(sandbox, before + 2 * lines)).slice(before + lines)
    t.same(again, said, 'with the same lines in the journal')
    t.equal(said.length, lines)
    t.match(
      made,
      'actions' in config ? { exitCode: 159 } : { exitCode: 0, stdout: 'hello: ok\nsocket: Operation not permitted' },
    )
  }
})

test('the filter that is in force is the same, read back', LONG, async (t) => {
  const { sandbox } = await remembered(t)
  const programs: string[] = []
  for (const path of [OCI_SANDBOX, TRACER]) {
    const hook = { path, args: [basename(path), 'hook', 'enforce', '--config', sandbox.config] }
    const mark = sandbox.newId()
    const args = ['/fixtures/act', 'wait', 'exit', '0', mark]
    const { running } = await startWaiting(sandbox, { mode: 'enforce', args, hooks: { createRuntime: [hook] } })
    const pid = processWithAll('/fixtures/act', mark)
    programs.push((await execa(TRACER, ['readback', '--pid', String(pid)])).stdout)
    running.stdin.end()
    t.equal((await running).exitCode, 0)
  }
  t.match(programs[0], /"index":0,"instructions":\d+,"log":true/)
  t.equal(programs[0], programs[1])
})

const CONFIGS: readonly object[] = [
  {},
  { modes: ['enforce'], actions: ['kill', 'log'], logLevel: 'debug' },
  {
    required: [
      { image: 'docker.io/web:*', mode: 'enforce', policy: 'test' },
      { podSandbox: true, mode: 'learn' },
    ],
  },
  { required: [{ mode: 'enforce', policy: 'other' }] },
]

const STATES: readonly string[] = [
  stateOf({}),
  stateOf({}, { annotations: undefined, pid: undefined }),
  stateOf({ other: 'x', 'io.sandbox': 'enforce' }),
  ...['creating', 'created', 'running', 'stopped'].map((status) => stateOf(ENFORCE, { status })),
  ...['stopped', 'paused'].map((status) => stateOf({}, { status })),
  ...[0, 1, 4_194_304, 5.5, -1, 'x'].map((pid) => stateOf(ENFORCE, { pid })),
  stateOf({ ...ENFORCE, 'io.sandbox.action': 'log' }),
  stateOf({ ...ENFORCE, 'io.sandbox.action': 'allow' }),
  stateOf({ ...ENFORCE, 'io.sandbox.polcy': 'x' }),
  stateOf({ ...ENFORCE, 'io.sandbox.policy': '../x' }),
  stateOf({ ...ENFORCE, 'io.sandbox.policy': 'none' }),
  stateOf({ 'io.sandbox.mode': 'enforce' }),
  stateOf({ 'io.sandbox.mode': 'learn', 'io.sandbox.policy': 'test' }),
  stateOf({ 'io.kubernetes.cri.image-name': 'docker.io/web:1' }),
  stateOf({ 'io.kubernetes.cri.image-name': 'docker.io/web:1', 'io.sandbox.mode': 'enforce' }),
  stateOf({ ...ENFORCE, 'io.kubernetes.cri.container-type': 'sandbox' }),
  stateOf({ 'io.kubernetes.cri-o.ContainerType': 'sandbox', 'io.sandbox.anything': 'x' }),
  stateOf({}, { id: '' }),
  stateOf({}, { bundle: 'x' }),
  stateOf({}, { root: '/r', owner: 'root' }),
  '',
  '[]',
  '{"id":',
  '{"id":"c","id":"c","status":"creating","bundle":"/"}',
  '{"id":"c","status":"creating","bundle":"/","annotations":{"a":"x","a":"y"}}',
  '{"id":"c","status":"creating","bundle":"/","annotations":{"io.sandbox.mod\\u0065":"enforec"}}',
]

test('the outcome is the same for each state under each configuration', LONG, async (t) => {
  for (const config of CONFIGS) {
    const sandbox = await Sandbox.create(t, config)
    sandbox.writePolicy(text)
    let repeated = 0
    for (const state of STATES) {
      const outcomes: object[] = []
      for (const run of [decide, ask, ask]) {
        const before = journal(sandbox).length
        const { exitCode, stdout, stderr, ...rest } = await run(sandbox, state)
        outcomes.push({ exitCode, stdout, stderr, said: journal(sandbox).slice(before) })
        if ('asked' in rest && !rest.asked) repeated++
      }
      for (const outcome of outcomes.slice(1)) t.same(outcome, outcomes[0], `${JSON.stringify(config)} ${state}`)
    }
    t.equal(repeated > 2, !('logLevel' in config) && !JSON.stringify(config).includes('other'), `${repeated} repeated`)
  }
})

test('what is remembered for one question is no answer to another one', LONG, async (t) => {
  const sandbox = await Sandbox.create(t)
  await untilRepeated(sandbox, stateOf({}))
  t.match(
    await ask(sandbox, stateOf({ other: 'x' })),
    { exitCode: 0, asked: false },
    'what decides nothing is no part of it',
  )
  for (const state of [
    stateOf({}, { status: 'created' }),
    stateOf({ 'io.sandbox.mode': 'enforce' }),
    stateOf({ 'io.kubernetes.cri.image-name': 'x' }),
    stateOf({}).replace('"annotations":{}', '"annotations":{},"annotations":{}'),
    stateOf({}).replace('{}', '{"a":"x","\\u0061":"y"}'),
    stateOf({ é: 'x' }),
    `${stateOf({})}x`,
  ]) {
    t.match(await ask(sandbox, state), { asked: true }, state)
  }
  const moved = join(sandbox.directory, 'other.json')
  copyFileSync(sandbox.config, moved)
  const [path = ''] = sandbox
    .remembered()
    .filter((one) => readFileSync(one, 'utf8').includes('\nquestion 9\ncreating\n'))
  t.teardown(() =>
    rmSync(join('/run/oci-sandbox/decisions', digest(Buffer.from(`${moved}\0creating\n`))), { force: true }),
  )
  copyFileSync(path, join('/run/oci-sandbox/decisions', digest(Buffer.from(`${moved}\0creating\n`))))
  const other = Object.assign(Object.create(Object.getPrototypeOf(sandbox)), sandbox, { config: moved })
  t.match(await ask(other, stateOf({})), { exitCode: 0, asked: true }, "nor is another configuration's record")
})

test('it can be asked where the runtime ignores the end of children', LONG, async (t) => {
  const sandbox = await Sandbox.create(t)
  const line = ['-c', `trap '' CHLD; exec "$0" "$@"`, TRACER, 'hook', 'enforce', '--config', sandbox.config]
  const options = { reject: false, extendEnv: false, env: {} }
  t.match(await execa('/bin/sh', line, { ...options, input: stateOf({}) }), { exitCode: 0, stderr: '' })
  const refused = await execa('/bin/sh', line, { ...options, input: stateOf({ 'io.sandbox.mode': 'x' }) })
  t.match(refused, { exitCode: 1, stderr: /\[ANNOTATION_INVALID\]$/ })
})

test('a decision is made anew when what it depended on has changed', LONG, async (t) => {
  const { sandbox, start } = await remembered(t)
  const again = async () => {
    for (let round = 0; round < 100; round++) if (!(await start()).asked) return
    throw new Error('the decision is not remembered again')
  }
  const cache = join(sandbox.store, 'cache')
  const program = () => join(cache, `${/^filter (.*)$/m.exec(recordOf(sandbox).text)?.[1]}.bpf`)
  const refused = { exitCode: 1, stdout: '', asked: true }
  const works = { exitCode: 0, stdout: 'hello: ok\nsocket: Operation not permitted', asked: true }
  const policyFile = sandbox.policyPath()
  const config = readFileSync(sandbox.config)
  const mode = (path: string, value: number, back: number) => [
    () => chmodSync(path, value),
    () => chmodSync(path, back),
  ]
  const owner = (path: string) => [() => chownSync(path, 1000, 1000), () => chownSync(path, 0, 0)]
  const cases: [what: string, expected: object, change: () => void, back: () => void][] = [
    ['the configuration, its text', works, () => appendFileSync(sandbox.config, ' '), () => {}],
    ['the configuration, an equal one in its place', works, () => replace(sandbox.config), () => {}],
    [
      'the configuration, a stricter one with the size and the time of the old one',
      { ...refused, stderr: /not permitted on this host/ },
      () => {
        const strict = JSON.stringify({ store: sandbox.store, modes: ['learn'] }).padEnd(config.length, ' ')
        writeFileSync(sandbox.config, JSON.stringify({ store: sandbox.store }).padEnd(strict.length, ' '))
        utimesSync(sandbox.config, 1, 1)
        writeFileSync(sandbox.config, strict)
        utimesSync(sandbox.config, 1, 1)
      },
      () => writeFileSync(sandbox.config, config),
    ],
    ...(
      [
        ['the configuration', sandbox.config, 0o666, 0o644],
        ['the policy', policyFile, 0o666, 0o644],
        ["the policy's directory", join(policyFile, '..'), 0o777, 0o755],
        ['policies/', join(policyFile, '../..'), 0o777, 0o755],
        ['the store', sandbox.store, 0o777, 0o755],
        ['the cache', cache, 0o777, 0o755],
      ] as const
    ).flatMap(([what, path, bad, good]): typeof cases => {
      const [change, back] = mode(path, bad, good) as [() => void, () => void]
      const [give, take] = owner(path) as [() => void, () => void]
      return [
        [`${what}, writable by others`, { ...refused, stderr: /writable by its group or by others/ }, change, back],
        [`${what}, of another user`, { ...refused, stderr: /belongs to user 1000/ }, give, take],
      ]
    }),
    [
      'the policy, its text',
      { exitCode: 0, stdout: 'hello: ok\nsocket: ok', asked: true },
      () => sandbox.writePolicy(encodePolicy(policy([...CALLS, 'socket']))),
      () => sandbox.writePolicy(text),
    ],
    [
      'the policy, gone',
      { ...refused, stderr: /there is no policy test/ },
      () => rmSync(policyFile),
      () => sandbox.writePolicy(text),
    ],
    [
      'the policy, a symbolic link to an equal one',
      { ...refused, stderr: /is a symbolic link/ },
      () => {
        renameSync(policyFile, `${policyFile}.x`)
        symlinkSync(`${policyFile}.x`, policyFile)
      },
      () => renameSync(`${policyFile}.x`, policyFile),
    ],
    ['the filter, gone', works, () => rmSync(program()), () => {}],
    ['the filter, torn', works, () => writeFileSync(program(), readFileSync(program()).subarray(0, -8)), () => {}],
    [
      'the filter, another one', // BPF_RET | BPF_K, SECCOMP_RET_ALLOW
      works,
      () => writeFileSync(program(), Buffer.from([6, 0, 0, 0, 0, 0, 0xff, 0x7f])),
      () => {},
    ],
    [
      'the filter, of another user',
      { ...refused, stderr: /belongs to user 1000/ },
      () => chownSync(program(), 1000, 0),
      () => chownSync(program(), 0, 0),
    ],
    ['the cache, gone', works, () => rmSync(cache, { recursive: true }), () => {}],
  ]
  for (const [what, expected, change, back] of cases) {
    change()
    t.match(await start(), expected, what)
    back()
    await again()
  }
})

/** The same bytes in another file under the same name. */
function replace(path: string): void {
  copyFileSync(path, `${path}.new`)
  renameSync(`${path}.new`, path)
}

test('a run that waits to be merged into the policy is merged first', LONG, async (t) => {
  const { sandbox, start } = await remembered(t)
  const hooks = { createRuntime: [sandbox.hook('learn')] }
  await sandbox.run({ mode: 'learn', args: ['/fixtures/act', 'hello', 'socket'], hooks })
  t.match(await start(), { exitCode: 0, stdout: 'hello: ok\nsocket: ok', asked: true })
})

test('other programs than those that decided do not repeat it', LONG, async (t) => {
  const sandbox = await Sandbox.create(t)
  await untilRepeated(sandbox, stateOf({}))
  const bin = join(sandbox.directory, 'prefix/bin')
  const libexec = join(sandbox.directory, 'prefix/libexec/oci-sandbox')
  for (const directory of [bin, libexec]) mkdirSync(directory, { recursive: true })
  const helper = join(libexec, 'oci-sandbox-tracer')
  copyFileSync(TRACER, helper)
  t.match(await ask(sandbox, stateOf({}), helper), {
    exitCode: 1,
    asked: false,
    stderr: /the program oci-sandbox is neither/,
  })
  const program = (script: string) => writeFileSync(join(bin, 'oci-sandbox'), `#!/bin/sh\n${script}\n`, { mode: 0o755 })
  program('echo "$@" >&2; exit 3')
  const line = `hook enforce --config ${sandbox.config} --answer`
  t.match(await ask(sandbox, stateOf({}), helper), { exitCode: 3, asked: true, stdout: '', stderr: line })
  const hook = ['hook', 'unlearn', '--odd']
  t.match(
    await execa(helper, hook, { reject: false }),
    { exitCode: 3, stderr: hook.join(' ') },
    'other hooks are its business',
  )

  const store = [
    `store ${sandbox.store}`,
    'policy test',
    'policy-file 1 1 1 1 1',
    'journal-level info',
    'no-new-privileges 0',
  ]
  const enforced = (programs: string) => ['answer enforce', ...store, programs].join('\n')
  const sum = (answer: string) => `printf '%s\\n' '${answer}sum ${digest(Buffer.from(answer))}'`
  const silent = { exitCode: 1, stdout: '', stderr: /^oci-sandbox-tracer: hook: .*does not say what is to be done/ }
  for (const [what, script, expected] of [
    ['an answer', sum('answer pass\n'), { exitCode: 0, stdout: '', stderr: '' }],
    ['an answer, and what went wrong then', `${sum('answer pass\n')}; exit 5`, { exitCode: 0, stderr: '' }],
    ['an answer, and the end that follows', `${sum('answer pass\n')}; exec sleep 1000 >&- 2>&-`, { exitCode: 0 }],
    ['none', ':', silent],
    ['half of one', 'echo answer pass', silent],
    ['one that is none', sum('answer maybe\n'), silent],
    ['one with more behind it', sum('answer pass\nanswer pass\n'), silent],
    ['one without a program', sum(enforced('')), silent],
    ...['', '0', '06000000', '060000000000ff7f06', '060000000000FF7F', 'g60000000000ff7f', '060000000000ff7f 0'].map(
      (digits) => [`the program ${digits}`, sum(enforced(`program ${digits}\n`)), silent] as const,
    ),
    ['17 programs', sum(enforced('program 060000000000ff7f\n'.repeat(17))), silent],
    [
      'a program that the kernel does not take',
      sum(enforced('program ffff000000000000\n')),
      { exitCode: 1, stdout: '', stderr: /^oci-sandbox-tracer: enforce: / },
    ],
    ['one that never ends', 'head -c 1000000 /dev/zero 2>/dev/null', { exitCode: 141 }],
    ['its end by a signal', 'kill -9 $$', { exitCode: 1, stderr: /was ended by a signal/ }],
  ] as const) {
    program(script)
    t.match(await ask(sandbox, stateOf({}), helper), expected, what)
  }
})

test('a record that is not as it was written is none', LONG, async (t) => {
  const { sandbox, start } = await remembered(t)
  const { path, text: good } = recordOf(sandbox)
  const bytes = Buffer.from(good, 'latin1')
  const state = stateOf(ENFORCE)
  const untouched = await ask(sandbox, state)
  t.match(untouched, {
    asked: false,
    exitCode: 1,
    stderr: /^oci-sandbox-tracer: enforce: cannot attach to pid 4194303/,
  })
  const cases: [what: string, make: () => unknown][] = [
    ['empty', () => writeFileSync(path, '')],
    ['cut', () => writeFileSync(path, bytes.subarray(0, -1))],
    ['longer', () => writeFileSync(path, Buffer.concat([bytes, Buffer.from('\n')]))],
    ['long', () => writeFileSync(path, Buffer.alloc(1 << 20, 0x20))],
    [
      'a wrong sum',
      () =>
        writeFileSync(
          path,
          good.replace(/sum .(.*)/, (_, rest) => `sum x${rest}`),
        ),
    ],
    ['a directory', () => mkdirSync(path)],
    ['a FIFO', () => execa('mkfifo', [path])],
    [
      'a symbolic link',
      () => {
        writeFileSync(`${sandbox.directory}/record`, bytes, { mode: 0o600 })
        symlinkSync(`${sandbox.directory}/record`, path)
      },
    ],
    ['writable by others', () => [writeRecord(path, bytes), chmodSync(path, 0o622)]],
    ['of another user', () => [writeRecord(path, bytes), chownSync(path, 1000, 1000)]],
    ...[
      good.replace('answer enforce', 'answer pass'),
      good.replace('answer enforce', 'answer  enforce'),
      good.replace(/answer enforce[\s\S]*\nsum/, 'answer pass\nfilter x\nsum'),
      good.replace('decision 1', 'decision 2'),
      good.replace(/question \d+/, 'question 1'),
      good.replace(/no-new-privileges 0/, 'no-new-privileges 2'),
      good.replace(/journal-level \w+/, 'journal-level debugg'),
      good.replace(/policy test/, 'policy ../policies/test'),
      good.replace(/policy test/, 'policy tes'),
      good.replace(/policy test/, 'policy test\0'),
      good.replace(/store \//, 'store '),
      good.replace(/store .*/, `store /${'x'.repeat(4090)}`),
      good.replace(/\nfilter .*/, ''),
      good.replace(/filter (.*)/, (_, sum) => `filter ${sum.toUpperCase()}`),
      good.replace(/filter (.*)/, (_, sum) => `filter ../cache/${sum}`),
      good.replace(/(filter .*\n)/, '$1'.repeat(17)),
      // Allows everything: only who has just been asked takes a program at its word.
      good.replace(/filter .*/, 'program 060000000000ff7f'),
      good.replace(/helper \d+/, 'helper 1'),
      good.replace(/program \d+/, 'program 1'),
    ].map((odd): (typeof cases)[number] => [odd, () => writeRecord(path, Buffer.from(odd, 'latin1'), digest)]),
  ]
  for (const [what, make] of cases) {
    rmSync(path, { recursive: true, force: true })
    await make()
    const { stderr, exitCode, asked } = await ask(sandbox, state)
    t.match({ stderr, exitCode, asked }, { ...untouched, stdout: undefined, asked: true }, JSON.stringify(what))
  }
  rmSync(path, { recursive: true, force: true })
  writeRecord(path, bytes, digest)
  t.match(await ask(sandbox, state), untouched, 'the control: the record as it was')
  const directory = join(path, '..')
  chmodSync(directory, 0o707)
  const open = await ask(sandbox, state)
  chmodSync(directory, 0o700)
  t.match(open, { asked: true }, 'in a directory that others can write to it is none')
  t.match(await start(), { exitCode: 0 })
})

test('damaged records never do harm', LONG, async (t) => {
  const { sandbox } = await remembered(t)
  const { path, text: good } = recordOf(sandbox)
  const state = stateOf(ENFORCE)
  const expected = await decide(sandbox, state)
  const random = new Random(7)
  for (let round = 0; round < 100; round++) {
    const bytes = [...Buffer.from(good, 'latin1')]
    for (let count = 1 + random.below(3); count > 0; count--) {
      const at = random.below(bytes.length)
      if (random.chance(0.3)) bytes.splice(at, random.below(100))
      else bytes[at] = random.pick([0, 10, 32, 0x2f, 0x30, 0xff, random.below(256)])
    }
    writeRecord(path, Buffer.from(bytes), random.chance(0.8) ? digest : undefined)
    const line = ['hook', 'enforce', '--config', sandbox.config]
    const { exitCode, stderr } = await execa(TRACER, line, { input: state, reject: false, extendEnv: false, env: {} })
    // Not even a sum that fits lets a container start without a filter.
    if (exitCode !== 1 || stderr !== expected.stderr) {
      t.fail('another outcome', { record: Buffer.from(bytes).toString('latin1'), exitCode, stderr })
    }
  }
  t.pass()
})

test('nothing is remembered that cannot be known again', LONG, async (t) => {
  const sandbox = await Sandbox.create(t)
  await untilRepeated(sandbox, stateOf({}))
  for (const path of sandbox.remembered()) rmSync(path)
  appendFileSync(sandbox.config, ' ')
  // From the change until the answer less time has gone by than two changes need to be told apart, or the file is settled already.
  const changed = Date.now()
  await ask(sandbox, stateOf({}))
  t.ok(sandbox.remembered().length === 0 || Date.now() - changed > 50)
  await ask(sandbox, stateOf({ 'io.sandbox.mode': 'learn', 'io.sandbox.policy': 'x' }))
  await ask(sandbox, stateOf({ 'io.sandbox.mode': 'enforec' }))
  await untilRepeated(sandbox, stateOf({}))
  t.equal(sandbox.remembered().length, 1, 'neither a refusal nor a container that learns')
})
