/** What the helper repeats of the shim and of precreate is what the program would do, asked again. */
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { execa } from 'execa'
import { type Test, test } from 'tap'
import { encodePolicy } from '../../src/policy/document.ts'
import { argsOf, type Fake, fakeRuntime } from '../lib/fake-runtime.ts'
import { policy } from '../lib/policies.ts'
import { rememberedWith, SHIM, TRACER } from '../lib/sandbox.ts'

const LONG = { timeout: 120_000 }
const CONTAINERS = '/run/oci-sandbox/containers'

interface Host extends Fake {
  readonly store: string
  readonly bundle: string
  writeConfig(config: object): void
}

function host(t: Test, settings: object = {}, runtime?: string): Host {
  const fake = fakeRuntime(t, runtime)
  const store = join(fake.directory, 'store')
  writeFileSync(fake.config, JSON.stringify({ store, runtime: fake.runtime, ...settings }))
  for (const name of ['test', 'other']) {
    const directory = join(store, 'policies', name)
    mkdirSync(directory, { recursive: true, mode: 0o755 })
    writeFileSync(join(directory, 'policy.json'), encodePolicy(policy(['read', 'exit_group'], { name })), {
      mode: 0o644,
    })
  }
  const bundle = join(fake.directory, 'bundle')
  mkdirSync(join(bundle, 'rootfs'))
  const writeConfig = (config: object) => writeFileSync(join(bundle, 'config.json'), JSON.stringify(config))
  return { ...fake, store, bundle, writeConfig }
}

/** A process watched until it becomes another program than the helper: whether it had a child, which is the program. */
async function watched(file: string, line: readonly string[], options: object) {
  const trace = ['-qq', '-o', file, '-e', 'trace=execve,fork,vfork,clone,clone3,memfd_create']
  const result = await execa('strace', [...trace, ...line], { reject: false, extendEnv: false, env: {}, ...options })
  const calls = readFileSync(file, 'utf8').split('\n')
  return { ...result, asked: calls.some((call) => /^(v?fork|clone3?|memfd_create)\(/.test(call)) }
}

/** What there is of a directory: names, and what they hold or lead to. */
function contents(directory: string): Record<string, unknown> {
  return Object.fromEntries(
    readdirSync(directory, { withFileTypes: true })
      .sort((a, b) => (a.name < b.name ? -1 : 1))
      .map((entry) => {
        const path = join(directory, entry.name)
        if (entry.isSymbolicLink()) return [entry.name, readlinkSync(path)]
        if (entry.isDirectory()) return [entry.name, contents(path)]
        if (entry.name.endsWith('.json')) return [entry.name, { ...JSON.parse(readFileSync(path, 'utf8')), creator: 0 }]
        return [entry.name, readFileSync(path, 'base64')]
      }),
  )
}

/** One start through the shim, and everything that the runtime was given. */
async function startContainer(host: Host, line: readonly string[], own: readonly string[] = []) {
  const all = ['--config', host.config, ...own, ...line]
  const ended = await watched(join(host.directory, 'calls'), [SHIM, ...all], { stdin: 'ignore', cwd: host.directory })
  const args = argsOf(host.seen())
  const bundle = args?.[args.indexOf('--bundle') + 1]
  const kept = bundle?.startsWith(CONTAINERS) ? dirname(bundle) : undefined
  const found = kept === undefined ? undefined : contents(kept)
  if (kept !== undefined) rmSync(kept, { recursive: true })
  const { asked, exitCode, stdout, stderr } = ended
  return { asked, outcome: { exitCode, stdout, stderr, args, found } }
}

const ENFORCE = { 'io.sandbox.mode': 'enforce', 'io.sandbox.policy': 'test' }
const TEST = { mode: 'enforce', policy: 'test' }
const asOptions = (own: Record<string, string>) => Object.entries(own).map(([key, value]) => `--${key}=${value}`)

/** Starts until it is repeated, which must be soon; the outcome must be the same each time. */
async function untilRepeated(t: Test, what: string, go: () => Promise<{ asked: boolean; outcome: object }>) {
  const first = await go()
  t.equal(first.asked, true, `${what}: asked at first`)
  for (let round = 0; round < 100; round++) {
    const again = await go()
    t.strictSame(again.outcome, first.outcome, what)
    if (!again.asked) return first.outcome as Awaited<ReturnType<typeof startContainer>>['outcome']
  }
  throw new Error(`${what}: it is never repeated`)
}

/** Starts until it is repeated. */
async function repeated(go: () => Promise<{ asked: boolean }>): Promise<void> {
  for (let round = 0; round < 100; round++) if (!(await go()).asked) return
  throw new Error('it is never repeated')
}

test('the runtime is given the same, whether the program is asked or not', LONG, async (t) => {
  const one = host(t)
  const hook = { path: '/bin/true', args: ['true'] }
  const own = { path: TRACER, args: ['oci-sandbox-tracer', 'hook', 'enforce', '--config', one.config] }
  const learn = { path: '/usr/bin/oci-sandbox', args: ['oci-sandbox', 'hook', 'learn'] }
  symlinkSync('rootfs', join(one.bundle, 'link'))
  const line = ['--root', join(one.directory, 'state'), 'create', '--bundle', one.bundle, '--pid-file', '/p', 'id']
  const root = { path: 'rootfs' }
  const cases: [what: string, config: object, own?: string[], line?: string[]][] = [
    ['nothing asked for', { root }],
    ['its own bundle directory, and other ways to name it', { root }, [], ['run', '-b', 'bundle', '-d', 'id']],
    ['enforced', { root, annotations: { ...ENFORCE, x: 'é' } }],
    [
      'hooks are there',
      { root, annotations: ENFORCE, hooks: { prestart: [hook], createRuntime: [hook], poststop: [hook] } },
    ],
    ['no hook of a stage', { annotations: ENFORCE, hooks: { createRuntime: [], poststart: [hook] } }],
    ["a manifest's", { annotations: ENFORCE, hooks: { createRuntime: [own, learn], poststop: [learn] } }],
    ['asked for on the command line', { root: { path: '/r' } }, asOptions(TEST)],
    ['the same twice', { annotations: ENFORCE }, asOptions(TEST)],
    ['another action', { annotations: ENFORCE }, asOptions({ ...TEST, action: 'kill' })],
    ['another policy', { annotations: { ...ENFORCE, 'io.sandbox.policy': 'other' } }],
    ['run', { annotations: ENFORCE, root }, [], ['run', '-b', 'bundle', '--no-pivot', 'id', '--']],
    ['an id like an option', { annotations: ENFORCE, root }, [], ['run', '-b', 'bundle', '--', '--detach']],
  ]
  for (const [what, config, options = [], args = line] of cases) {
    one.writeConfig(config)
    for (const path of rememberedWith(one.config)) rmSync(path)
    const { exitCode, args: given, found } = await untilRepeated(t, what, () => startContainer(one, args, options))
    t.equal(exitCode, 7, what)
    t.equal(found !== undefined, JSON.stringify([config, options]).includes('enforce'), what)
    if (found === undefined) t.same(given, args, what)
    else t.match(found, { bundle: { rootfs: join(one.bundle, 'rootfs'), link: join(one.bundle, 'link') } }, what)
  }
})

test("what goes into crun's annotation is repeated, too", LONG, async (t) => {
  const one = host(t, { enforce: { method: 'crun-bpf' } }, 'crun')
  const line = ['create', '--bundle', one.bundle, 'id']
  const go = () => startContainer(one, line)
  const journal = join(one.store, 'journal.ndjson')
  for (const [what, config] of [
    ['enforced', { annotations: ENFORCE }],
    ['with noNewPrivileges', { annotations: { ...ENFORCE, a: 'b' }, process: { noNewPrivileges: true, args: ['x'] } }],
    ['without a linux.seccomp', { annotations: ENFORCE, linux: { seccomp: null, namespaces: [] } }],
  ] as const) {
    one.writeConfig(config)
    for (const path of rememberedWith(one.config)) rmSync(path)
    const { found } = await untilRepeated(t, what, go)
    t.match(found, {
      'record.json': { method: 'crun-bpf' },
      bundle: { 'config.json': { annotations: { 'run.oci.seccomp_bpf_data': /^[\w+/]+=*$/ } } },
    })
    const notes = readFileSync(journal, 'utf8')
      .trimEnd()
      .split('\n')
      .slice(-2)
      .map((text) => JSON.parse(text))
    t.match(
      notes,
      [1, 2].map(() => ({ event: 'runtime-calls', container: 'id', message: /not calibrated/ })),
      what,
    )
    t.equal(notes[0].message, notes[1].message)
  }
  one.writeConfig({ annotations: ENFORCE, linux: { seccomp: { defaultAction: 'SCMP_ACT_ALLOW' } } })
  t.match(await go(), { asked: true, outcome: { exitCode: 1, stderr: /\[NOT_PERMITTED\]$/ } })
  one.writeConfig({ annotations: ENFORCE })
  await repeated(go)
  mkdirSync(join(one.store, 'runtimes'), { mode: 0o755 })
  t.equal((await go()).asked, true, 'there may be a calibration')
  await repeated(go)
  writeFileSync(join(one.store, 'runtimes', `${'0'.repeat(64)}.json`), '{}', { mode: 0o644 })
  t.equal((await go()).asked, true, 'there is one')
  await repeated(go)
  copyFileSync(one.runtime, `${one.runtime}.new`)
  renameSync(`${one.runtime}.new`, one.runtime)
  t.equal((await go()).asked, true, 'another crun')
})

test("a manifest's hook beside crun's annotation is asked about each time", LONG, async (t) => {
  const one = host(t, { enforce: { method: 'crun-bpf' } }, 'crun')
  const line = ['create', '--bundle', one.bundle, 'id']
  one.writeConfig({ annotations: ENFORCE })
  await untilRepeated(t, 'the control', () => startContainer(one, line))
  const own = { path: TRACER, args: ['oci-sandbox-tracer', 'hook', 'enforce', '--config', one.config] }
  one.writeConfig({ annotations: ENFORCE, hooks: { createRuntime: [own] } })
  for (const _ of [1, 2]) t.equal((await startContainer(one, line)).asked, true)
})

test('what is not certain is asked each time', LONG, async (t) => {
  const one = host(t)
  const config = { root: { path: 'rootfs' }, annotations: ENFORCE }
  one.writeConfig(config)
  const line = ['create', '--bundle', one.bundle, 'id']
  await untilRepeated(t, 'the control', () => startContainer(one, line))
  const asked = async (what: string, args = line, own: string[] = []) => {
    for (const _ of [1, 2]) t.equal((await startContainer(one, args, own)).asked, true, what)
  }
  await asked('another id option', ['create', '--bundle', one.bundle, '--conjure', 'id'])
  await asked("crun's --config", ['create', '--bundle', one.bundle, '--config', 'config.json', 'id'])
  await asked('a bundle that has to be resolved', ['create', '--bundle', `${one.bundle}/../bundle`, 'id'])
  await asked('contradicting options', line, ['--mode=learn'])
  await asked('a policy without a mode', line, ['--policy=test'])
  await asked('no id', ['create', '--bundle', one.bundle])
  await asked('a short option with =', ['create', `-b=${one.bundle}`, 'id'])
  await asked('a long option with one dash', ['create', '-bundle', one.bundle, 'id'])
  for (const [what, more] of [
    ["crun's program", { annotations: { ...ENFORCE, 'run.oci.seccomp_bpf_data': 'x' } }],
    ['a relative source', { mounts: [{ destination: '/x', type: 'bind', source: 'x' }] }],
    ['a root that has to be resolved', { root: { path: '../rootfs' } }],
    ['learning', { annotations: { ...ENFORCE, 'io.sandbox.mode': 'learn' } }],
    ['an absent policy', { annotations: { ...ENFORCE, 'io.sandbox.policy': 'absent' } }],
    ['another spelling', { Hooks: {} }],
    ['another spelling in a hook', { hooks: { createRuntime: [{ path: '/bin/true', Path: '/bin/false' }] } }],
    ['a long number', { x: 2 ** 53 - 1 }],
    ['a handler of crun', { annotations: { ...ENFORCE, 'run.oci.handler': 'wasm' } }],
  ] as const) {
    one.writeConfig({ ...config, ...more })
    await asked(what)
  }
  one.writeConfig(config)
  t.equal((await startContainer(one, line)).asked, false, 'the control still')
  const directory = join(CONTAINERS, 'x')
  t.notOk(existsSync(directory))
})

test('a container that is there already is no business of the helper', LONG, async (t) => {
  const one = host(t)
  one.writeConfig({ annotations: ENFORCE })
  const line = ['create', '--bundle', one.bundle, 'id']
  await untilRepeated(t, 'the control', () => startContainer(one, line))
  const options = { reject: false, extendEnv: false, env: {}, stdin: 'ignore' } as const
  // Its creator is dead and the fake runtime knows no container, but what roots it has is not known: it may live.
  t.equal((await execa(SHIM, ['--config', one.config, ...line], options)).exitCode, 7)
  const args = argsOf(one.seen()) ?? []
  const kept = dirname(args[args.indexOf('--bundle') + 1] as string)
  t.teardown(() => rmSync(kept, { recursive: true, force: true }))
  const before = contents(kept)
  t.match(await startContainer(one, line), { asked: true, outcome: { exitCode: 1, stderr: /\[CONTAINER_EXISTS\]$/ } })
  t.strictSame(contents(kept), before)
})

test('what has changed is asked about', LONG, async (t) => {
  const one = host(t)
  one.writeConfig({ annotations: ENFORCE })
  const line = ['create', '--bundle', one.bundle, 'id']
  const go = () => startContainer(one, line)
  await untilRepeated(t, 'the control', go)
  const policyFile = join(one.store, 'policies/test/policy.json')
  writeFileSync(policyFile, encodePolicy(policy(['read', 'write', 'exit_group'], { name: 'test' })))
  await untilRepeated(t, 'the policy', go)
  rmSync(policyFile)
  t.match(await go(), { asked: true, outcome: { exitCode: 1, stderr: /\[POLICY_NOT_FOUND\]$/, args: undefined } })
  writeFileSync(policyFile, encodePolicy(policy(['read', 'exit_group'], { name: 'test' })))
  await untilRepeated(t, 'the policy is back', go)
  rmSync(one.runtime)
  t.match(await go(), { asked: true, outcome: { exitCode: 1, stderr: /\[RUNTIME_FAILED\]$/ } })
})

test('precreate prints the same, whether the program is asked or not', LONG, async (t) => {
  const one = host(t)
  const line = [TRACER, 'hook', 'precreate', '--config', one.config]
  const own = { path: TRACER, args: ['oci-sandbox-tracer', 'hook', 'enforce', '--config', one.config] }
  const hook = { path: '/bin/true', args: ['true'] }
  const go = async (input: string) => {
    const { asked, exitCode, stdout, stderr } = await watched(join(one.directory, 'calls'), line, { input, cwd: '/' })
    return { asked, outcome: { exitCode, stderr, config: stdout === '' ? undefined : JSON.parse(stdout) } }
  }
  for (const [what, config] of [
    ['nothing asked for', { root: { path: 'rootfs' }, x: [1.5, null] }],
    ['enforced', { annotations: ENFORCE, mounts: [{ destination: '/x', type: 'bind', source: '/x' }] }],
    ['hooks are there', { annotations: ENFORCE, hooks: { createRuntime: [hook], poststop: [hook] } }],
    ["a manifest's", { annotations: ENFORCE, hooks: { createRuntime: [own] } }],
  ] as const) {
    for (const path of rememberedWith(one.config)) rmSync(path)
    const { exitCode } = await untilRepeated(t, what, () => go(JSON.stringify(config)))
    t.equal(exitCode, 0)
  }
  for (const text of [
    '{',
    '{"Hooks":{}}',
    JSON.stringify({ annotations: { ...ENFORCE, 'io.sandbox.policy': 'absent' } }),
  ]) {
    for (const _ of [1, 2]) t.match(await go(text), { asked: true, outcome: { exitCode: 1, config: undefined } }, text)
  }
})
