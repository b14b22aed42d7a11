/** Enforce fails closed: on any doubt the container does not start, and runc shows our one line. */
import { chmodSync, chownSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { encodePolicy } from '../../src/policy/document.ts'
import { policy } from '../lib/policies.ts'
import { type Container, type Result, Sandbox } from '../lib/sandbox.ts'

/** Enough for /fixtures/act hello, so that a container that starts by mistake is seen. */
const CALLS = [
  'write',
  'exit_group',
  'brk',
  'mmap',
  'openat',
  'newfstatat',
  'fstat',
  'close',
  'read',
  'pread64',
  'mprotect',
  'munmap',
]
const MORE = [
  'access',
  'arch_prctl',
  'set_tid_address',
  'set_robust_list',
  'rseq',
  'prlimit64',
  'getrandom',
  'restart_syscall',
  'rt_sigreturn',
]
const enough = policy([...CALLS, ...MORE])
const text = encodePolicy(enough)

const enforced: Container = { mode: 'enforce', args: ['/fixtures/act', 'hello'] }

function refused(result: Result, message: RegExp): boolean {
  return result.exitCode !== 0 && result.stdout === '' && message.test(result.stderr)
}

test('the control: with a good policy the container starts', async (t) => {
  const sandbox = await Sandbox.create(t)
  sandbox.writePolicy(text)
  t.match(await sandbox.run(enforced), { exitCode: 0, stdout: 'hello: ok' })
})

test('policies that are no policies', async (t) => {
  const sandbox = await Sandbox.create(t)
  const changed = (change: object) => JSON.stringify({ ...JSON.parse(text), ...change })
  const allowing = (syscall: object) =>
    changed({ architectures: { x86_64: { known: 471, syscalls: [...CALLS.map((name) => ({ name })), syscall] } } })
  const cases: [what: string, text: string, message: RegExp][] = [
    ['empty', '', /expected a value, found the end of the text at 1:1/],
    ['truncated', text.slice(0, -20), /found the end of the text/],
    ['binary', '\0'.repeat(100), /expected a value/],
    ['unknown version', changed({ version: 99 }), /version 99 is newer than this program/],
    ['unknown syscall', allowing({ name: 'opne' }), /opne is no syscall of x86_64/],
    ['duplicate key', text.replace('"version"', '"name": "test",\n  "version"'), /duplicate key .{1,2}name/],
    ['wrong type', changed({ runs: {} }), /\/runs: must be array/],
    [
      '64-bit value out of range',
      allowing({ name: 'ioctl', rules: [[{ index: 1, op: '==', value: '18446744073709551616' }]] }),
      /does not fit 64 bits/,
    ],
    [
      'integer beyond 2^53',
      allowing({ name: 'ioctl', rules: [[{ index: 1, op: '==', value: 4711 }]] }).replace('4711', '9007199254740993'),
      /is not an integer from 0 to 2\^53 - 1/,
    ],
    ['empty lists', changed({ architectures: {} }), /allows nothing/],
    ["another policy's name", changed({ name: 'other' }), /is .{1,2}other.{1,2}, but it is stored as test/],
  ]
  for (const [what, content, message] of cases) {
    sandbox.writePolicy(content)
    const result = await sandbox.run(enforced)
    t.ok(refused(result, message), what, result)
    t.match(
      sandbox.journal().at(-1),
      { event: 'refused', code: /^POLICY_/, container: /^oci-sandbox-test-/ },
      `${what}: journal`,
    )
  }
  t.equal((await sandbox.run(enforced)).stderr.split('\n').length, 1, 'runc shows one line')
})

test('a policy that is missing says how to get one', async (t) => {
  const sandbox = await Sandbox.create(t)
  const result = await sandbox.run(enforced)
  t.ok(
    refused(result, /there is no policy test in .*; run the container once with io\.sandbox\.mode=learn/),
    '',
    result,
  )
})

test('a store that others can change is not trusted', async (t) => {
  const cases: [what: string, change: (sandbox: Sandbox) => void, message: RegExp][] = [
    ['writable policy', (s) => chmodSync(s.policyPath(), 0o666), /policy\.json is writable by its group or by others/],
    ["another user's policy", (s) => chownSync(s.policyPath(), 1000, 1000), /policy\.json belongs to user 1000/],
    ['writable directory', (s) => chmodSync(join(s.store, 'policies/test'), 0o777), /policies\/test is writable by/],
    ['writable store', (s) => chmodSync(s.store, 0o777), /store is writable by/],
    [
      'policy is a symbolic link',
      (s) => {
        writeFileSync(join(s.directory, 'elsewhere'), text)
        rmSync(s.policyPath())
        symlinkSync(join(s.directory, 'elsewhere'), s.policyPath())
      },
      /policy\.json is a symbolic link/,
    ],
    [
      'directory is a symbolic link',
      (s) => {
        rmSync(join(s.store, 'policies/test'), { recursive: true })
        mkdirSync(join(s.directory, 'elsewhere'))
        writeFileSync(join(s.directory, 'elsewhere/policy.json'), text)
        symlinkSync(join(s.directory, 'elsewhere'), join(s.store, 'policies/test'))
      },
      /policies\/test is a symbolic link/,
    ],
    [
      'policy is a directory',
      (s) => {
        rmSync(s.policyPath())
        mkdirSync(s.policyPath())
      },
      /policy\.json is not a regular file/,
    ],
  ]
  for (const [what, change, message] of cases) {
    const sandbox = await Sandbox.create(t)
    sandbox.writePolicy(text)
    change(sandbox)
    const result = await sandbox.run(enforced)
    t.ok(refused(result, message), what, result)
  }
})

test('annotations', async (t) => {
  const sandbox = await Sandbox.create(t)
  sandbox.writePolicy(text)
  const cases: [annotations: Record<string, string>, message: RegExp][] = [
    [{ 'io.sandbox.mode': 'enforec' }, /expected learn or enforce/],
    [{ 'io.sandbox.policy': '../../../etc/passwd' }, /a policy's name is/],
    [{ 'io.sandbox.policy': '/etc/passwd' }, /a policy's name is/],
    [{ 'io.sandbox.policy': 'te\0st' }, /a policy's name is/],
    [{ 'io.sandbox.policy': '' }, /a policy's name is/],
    [{ 'io.sandbox.action': 'allow' }, /expected errno or kill or log/],
    [{ 'io.sandbox.polcy': 'x' }, /io\.sandbox\.polcy is not known/],
  ]
  for (const [annotations, message] of cases) {
    for (const hook of ['enforce', 'learn'] as const) {
      const result = await sandbox.run({ ...enforced, annotations, hooks: { createRuntime: [sandbox.hook(hook)] } })
      t.ok(refused(result, message), `hook ${hook}: ${JSON.stringify(annotations)}`, result)
    }
  }
})

test('a bundle whose only hook is the learn hook does not start unfiltered when it asks for enforce', async (t) => {
  const sandbox = await Sandbox.create(t)
  sandbox.writePolicy(text)
  const alone = await sandbox.run({ ...enforced, hooks: { createRuntime: [sandbox.hook('learn')] } })
  t.ok(refused(alone, /no .{1,2}hook enforce.{1,2} is among its hooks/), '', alone)
  const learn = await sandbox.run({
    mode: 'learn',
    args: enforced.args,
    hooks: { createRuntime: [sandbox.hook('enforce')] },
  })
  t.ok(refused(learn, /no .{1,2}hook learn.{1,2} is among its hooks/), 'nor unrecorded when it asks for learn', learn)
  const both = await sandbox.run({
    ...enforced,
    hooks: { createRuntime: [sandbox.hook('learn'), sandbox.hook('enforce')] },
  })
  t.match(both, { exitCode: 0, stdout: 'hello: ok' })
})

test('a hook at a stage where it can do nothing refuses', async (t) => {
  const sandbox = await Sandbox.create(t)
  sandbox.writePolicy(text)
  for (const stage of ['createContainer', 'startContainer']) {
    const { exitCode, stdout } = await sandbox.run({ ...enforced, hooks: { [stage]: [sandbox.hook('enforce')] } })
    t.not(exitCode, 0, stage)
    t.equal(stdout, '', stage)
  }
  // runc runs poststart while its init still waits for the start (runtimes differ: this one is early enough).
  const late = await sandbox.run({
    mode: 'enforce',
    args: ['/fixtures/act', 'socket'],
    hooks: { poststart: [sandbox.hook('enforce')] },
  })
  t.equal(late.stdout, 'socket: Operation not permitted', 'poststart: in force')
  t.match(
    await sandbox.run({ ...enforced, hooks: { prestart: [sandbox.hook('enforce')] } }),
    { exitCode: 0 },
    'prestart works',
  )
})

test('what the host does not permit', async (t) => {
  const sandbox = await Sandbox.create(t, { modes: ['enforce'], actions: ['kill'] })
  sandbox.writePolicy(text)
  const learn = await sandbox.run({ mode: 'learn', args: ['/fixtures/act', 'hello'] })
  t.ok(refused(learn, /io\.sandbox\.mode=learn is not permitted on this host/), '', learn)
  const log = await sandbox.run({ ...enforced, annotations: { 'io.sandbox.action': 'log' } })
  t.ok(refused(log, /io\.sandbox\.action=log is not permitted/), '', log)
  t.match(
    await sandbox.run({ mode: 'enforce', args: ['/fixtures/act', 'socket'] }),
    { exitCode: 128 + 31 },
    'kill is the default here',
  )
})

test("the host's configuration is checked", async (t) => {
  const sandbox = await Sandbox.create(t)
  sandbox.writePolicy(text)
  const good = readFileSync(sandbox.config, 'utf8')
  const cases: [what: string, content: string, message: RegExp][] = [
    ['broken', '{', /found the end of the text/],
    ['unknown key', '{"stroe":"/x"}', /unknown key .{1,2}stroe/],
    ['relative store', '{"store":"x"}', /\/store: must be an absolute path, found .{1,2}x/],
    ['unknown action', '{"actions":["allow"]}', /is not one of errno, kill, log/],
    ['no action', '{"actions":[]}', /\/actions: must NOT have fewer than 1 items/],
    ['duplicate key', '{"store":"/a","store":"/b"}', /duplicate key/],
  ]
  for (const [what, content, message] of cases) {
    writeFileSync(sandbox.config, content)
    const result = await sandbox.run(enforced)
    t.ok(refused(result, message), what, result)
  }
  writeFileSync(sandbox.config, good)
  chmodSync(sandbox.config, 0o666)
  t.ok(refused(await sandbox.run(enforced), /config\.json is writable by its group or by others/), 'writable by others')
  rmSync(sandbox.config)
  t.ok(refused(await sandbox.run(enforced), /there is no such file/), 'missing')
})

test('a cache that was changed is not used', async (t) => {
  const sandbox = await Sandbox.create(t)
  sandbox.writePolicy(text)
  t.match(await sandbox.run(enforced), { exitCode: 0 })
  const cache = join(sandbox.store, 'cache')
  const { readdirSync } = await import('node:fs')
  const filter = readdirSync(cache).find((name) => name.endsWith('.bpf')) as string
  const good = readFileSync(join(cache, filter))
  // BPF_RET | BPF_K, SECCOMP_RET_ALLOW: a filter that allows everything.
  writeFileSync(join(cache, filter), Buffer.from([6, 0, 0, 0, 0, 0, 0xff, 0x7f]))
  t.match(await sandbox.run({ ...enforced, args: ['/fixtures/act', 'socket'] }), {
    stdout: 'socket: Operation not permitted',
  })
  t.same(readFileSync(join(cache, filter)), good, 'it was compiled anew')
  chmodSync(cache, 0o777)
  t.ok(refused(await sandbox.run(enforced), /cache is writable by/), 'nor one that others can change')
})
