/** The commands that people type. */
import { existsSync, lstatSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { execa } from 'execa'
import { test } from 'tap'
import { encodePolicy } from '../../src/policy/document.ts'
import { policy, run } from '../lib/policies.ts'
import { OCI_SANDBOX, Sandbox } from '../lib/sandbox.ts'

const example = policy(
  [
    { name: 'read', count: 7, since: 'a' },
    'write',
    'exit_group',
    { name: 'socket', rules: [[{ index: 0, op: '==', value: 1 }]] },
  ],
  {
    name: 'web',
    runs: [run('a', { program: { path: '/usr/sbin/nginx', digest: `sha256:${'ab'.repeat(32)}` } })],
    complete: true,
  },
)

async function withPolicy(t: { teardown(handler: () => unknown): void }): Promise<Sandbox> {
  const sandbox = await Sandbox.create(t)
  sandbox.writePolicy(encodePolicy(example), 'web')
  return sandbox
}

test('--version, --help, and what is no command', async (t) => {
  const sandbox = await Sandbox.create(t)
  t.match(await sandbox.cli('--version'), { exitCode: 0 })
  const version = await execa(OCI_SANDBOX, ['--version'])
  t.match(version.stdout, /^oci-sandbox \d+\.\d+\.\d+$/)
  for (const args of [['--help'], ['-h'], ['help'], ['hook', '--help']]) {
    const { stdout, exitCode } = await sandbox.cli(...args)
    t.equal(exitCode, 0, args.join(' '))
    for (const command of [
      'policy list',
      'policy show',
      'policy export',
      'compile',
      'doctor',
      'hook learn',
      'hook enforce',
    ]) {
      t.match(stdout, command)
    }
  }
  for (const command of ['policy list', 'policy show', 'policy export', 'compile', 'doctor']) {
    const words = command.split(' ')
    const shown = await sandbox.cli(...words, '--help')
    t.match(shown, { exitCode: 0, stderr: '' })
    t.match(shown.stdout, new RegExp(`^Usage: oci-sandbox ${command}`))
    t.same(await sandbox.cli('help', ...words), shown)
  }
  for (const args of [
    [],
    ['polcy'],
    ['policy'],
    ['policy', 'shwo', 'x'],
    ['policy', 'show'],
    ['policy', 'show', 'a', 'b'],
    ['compile', 'web', '--fast'],
    ['doctor', 'x'],
  ]) {
    const { stdout, stderr, exitCode } = await sandbox.cli(...args)
    t.match({ stdout, exitCode }, { stdout: '', exitCode: 2 }, args.join(' '))
    t.match(stderr, /^oci-sandbox: [^\n]+ \[USAGE\]$/)
  }
})

test('policy list', async (t) => {
  const sandbox = await withPolicy(t)
  t.match(
    (await sandbox.cli('policy', 'list')).stdout,
    /^NAME +STATE +RUNS +SYSCALLS +LAST RUN\nweb +complete +1 +4 +2026-11-21T00:00:00\.000Z$/,
  )
  t.same(JSON.parse((await sandbox.cli('policy', 'list', '--json')).stdout), [
    { name: 'web', complete: true, runs: 1, syscalls: 4, last: '2026-11-21T00:00:00.000Z' },
  ])
  sandbox.writePolicy('{', 'broken')
  const both = await sandbox.cli('policy', 'list')
  t.equal(both.exitCode, 1)
  t.match(both.stdout, /web/)
  t.match(both.stderr, /policies\/broken\/policy\.json: .* \[POLICY_INVALID\]/)
})

test('policy list with an empty store', async (t) => {
  const sandbox = await Sandbox.create(t)
  t.match(await sandbox.cli('policy', 'list'), { exitCode: 0, stderr: '' })
  t.equal((await sandbox.cli('policy', 'list', '--json')).stdout, '[]')
})

test('policy show', async (t) => {
  const sandbox = await withPolicy(t)
  const { stdout } = await sandbox.cli('policy', 'show', 'web')
  t.match(stdout, /^policy web: complete\n/)
  t.match(
    stdout,
    /x86_64: 4 syscalls allowed \(those newer than number 471 get ENOSYS\)\n {2}exit_group read socket\* write\n/,
  )
  t.match(stdout, /learned from 1 run, of which 1 complete\n/)
  t.match(stdout, /2026-11-21T00:00:00Z +complete +10 +1 +1 +exit 0 +\/usr\/sbin\/nginx sha256:abababababab/)
  t.equal(`${(await sandbox.cli('policy', 'show', 'web', '--json')).stdout}\n`, encodePolicy(example))
  t.match(await sandbox.cli('policy', 'show', sandbox.policyPath('web')), { stdout }, 'a path works as well')
  t.match(await sandbox.cli('policy', 'show', 'absent'), {
    exitCode: 1,
    stderr: /there is no policy absent .*\[POLICY_NOT_FOUND\]/,
  })
  t.match(await sandbox.cli('policy', 'show', './absent.json'), {
    exitCode: 1,
    stderr: /cannot read the policy \.\/absent\.json/,
  })
  t.match(await sandbox.cli('policy', 'show', '..'), { exitCode: 2, stderr: /is no policy's name/ })
})

test('policy show --arguments', async (t) => {
  const sandbox = await withPolicy(t)
  t.match(await sandbox.cli('policy', 'show', 'web', '--arguments'), { stdout: /no arguments were learned/ })
  const openat = { name: 'openat', learned: { arguments: [2], values: [[0], [577]] } }
  sandbox.writePolicy(encodePolicy(policy([openat], { name: 'args', widening: 'loose' })), 'args')
  const { stdout } = await sandbox.cli('policy', 'show', 'args', '--arguments')
  t.match(
    stdout,
    'arguments (widening: loose)\n  openat (x86_64), seen with 2 combinations\n    flags=0\n    flags=0x241\n',
  )
  t.match(stdout, 'widened: flags: flags that were seen (2 combinations) in any combination')
})

test('compile writes struct sock_filter[], the same with and without the cache', async (t) => {
  const sandbox = await withPolicy(t)
  const file = (name: string) => join(sandbox.directory, name)
  t.match(await sandbox.cli('compile', 'web', '-o', file('plain'), '--no-cache'), {
    exitCode: 0,
    stdout: '',
    stderr: '',
  })
  t.notOk(existsSync(join(sandbox.store, 'cache')), '--no-cache writes none')
  for (const name of ['first', 'second']) await sandbox.cli('compile', 'web', '--output', file(name))
  t.ok(existsSync(join(sandbox.store, 'cache')))
  const bytes = readFileSync(file('plain'))
  t.same(readFileSync(file('first')), bytes)
  t.same(readFileSync(file('second')), bytes)
  t.equal(bytes.length % 8, 0)
  t.equal(bytes.readUInt16LE(0), 0x20, 'it begins with a load (BPF_LD | BPF_W | BPF_ABS)')
  t.equal(bytes.readUInt16LE(bytes.length - 8), 0x06, 'and ends with a return')
  await sandbox.cli('compile', 'web', '-o', file('kill'), '--action', 'kill')
  t.notSame(readFileSync(file('kill')), bytes)
  t.match(await sandbox.cli('compile', 'web'), { exitCode: 2, stderr: /say where to write the filter with -o FILE/ })
  t.match(await sandbox.cli('compile', 'web', '-o', file('x'), '--action', 'allow'), {
    exitCode: 2,
    stderr: /expected errno, kill, log/,
  })
  t.match(await sandbox.cli('compile', 'web', '-o', '/nonexistent/x'), {
    exitCode: 1,
    stderr: /cannot write \/nonexistent\/x/,
  })
  t.notOk(existsSync(file('x')))
  // What is there and is not ours stays: another file with a number, a device, what a link leads to.
  writeFileSync(file('page.1'), 'a manual page\n')
  await sandbox.cli('compile', 'web', '-o', file('page'))
  t.equal(readFileSync(file('page.1'), 'utf8'), 'a manual page\n')
  writeFileSync(file('old.1'), bytes)
  await sandbox.cli('compile', 'web', '-o', file('old'))
  t.notOk(existsSync(file('old.1')), 'but a program of an earlier compilation goes')
  await execa('mknod', [file('null'), 'c', '1', '3'])
  symlinkSync('plain', file('link'))
  for (const name of ['null', 'link']) {
    t.match(await sandbox.cli('compile', 'web', '-o', file(name), '--action', 'kill'), { exitCode: 0, stderr: '' })
    t.match(await sandbox.cli('policy', 'export', 'web', '-o', file(name)), { exitCode: 0 })
  }
  t.ok(lstatSync(file('null')).isCharacterDevice())
  t.ok(lstatSync(file('link')).isSymbolicLink())
  t.match(readFileSync(file('plain'), 'utf8'), /"defaultAction"/)
  symlinkSync('absent', file('dangling'))
  t.match(await sandbox.cli('compile', 'web', '-o', file('dangling')), {
    exitCode: 1,
    stderr: /cannot write .*dangling/,
  })
})

test('compile writes several programs where one does not hold the rules, and takes away those of an earlier one', async (t) => {
  const sandbox = await withPolicy(t)
  const file = (name: string) => join(sandbox.directory, name)
  const withRules = (count: number) => {
    const rules = Array.from({ length: count }, (_, value) => [{ index: 1, op: '==' as const, value: value * 3 }])
    writeFileSync(file('many.json'), encodePolicy(policy(['read', { name: 'ioctl', rules }])))
  }
  const written = () =>
    readdirSync(sandbox.directory)
      .filter((name) => name.startsWith('out'))
      .sort()
  withRules(7000)
  const names = ['out', 'out.1', 'out.2'].map(file)
  for (const options of [['--no-cache'], [], []]) {
    t.match(await sandbox.cli('compile', file('many.json'), '-o', file('out'), ...options), {
      exitCode: 0,
      stdout: names.join('\n'),
      stderr: '',
    })
    t.same(written(), ['out', 'out.1', 'out.2'])
  }
  for (const name of names) t.equal(readFileSync(name).length % 8, 0)
  withRules(10)
  t.match(await sandbox.cli('compile', file('many.json'), '-o', file('out')), { exitCode: 0, stdout: '' })
  t.same(written(), ['out'])
  withRules(30_000)
  t.match(await sandbox.cli('compile', file('many.json'), '-o', file('out')), {
    exitCode: 1,
    stderr: /policy test is too large for the kernel: .*x86_64 ioctl 30000\) \[FILTER_TOO_LARGE\]/,
  })
})

test('policy export: to standard output and to a file', async (t) => {
  const sandbox = await withPolicy(t)
  const { stdout } = await sandbox.cli('policy', 'export', 'web', '--format', 'oci')
  const profile = JSON.parse(stdout)
  t.match(profile, { defaultAction: 'SCMP_ACT_ERRNO', defaultErrnoRet: 1, architectures: ['SCMP_ARCH_X86_64'] })
  t.ok(profile.syscalls[0].names.includes('read'))
  t.same(profile.syscalls[1], {
    names: ['socket'],
    action: 'SCMP_ACT_ALLOW',
    args: [{ index: 0, value: 1, valueTwo: 0, op: 'SCMP_CMP_EQ' }],
  })
  const file = join(sandbox.directory, 'profile.json')
  await sandbox.cli('policy', 'export', 'web', '-o', file)
  t.equal(readFileSync(file, 'utf8'), `${stdout}\n`)
  t.equal(statSync(file).mode & 0o777, 0o644)
  t.match(await sandbox.cli('policy', 'export', 'web', '--format', 'toml'), {
    exitCode: 2,
    stderr: /expected --format oci/,
  })
  t.match(await sandbox.cli('policy', 'export', 'web', '--architecture', 'vax'), {
    exitCode: 2,
    stderr: /policy web has x86_64/,
  })
})

test('output that nobody reads is no error', async (t) => {
  const sandbox = await withPolicy(t)
  // biome-ignore lint/suspicious/noTemplateCurlyInString: it is the shell's
  const script = '"$1" --config "$2" policy show web --json | true; echo "${PIPESTATUS[0]}"'
  const { stdout, stderr } = await execa('bash', ['-c', script, 'bash', OCI_SANDBOX, sandbox.config])
  t.match({ stdout, stderr }, { stdout: '0', stderr: '' })
})

test('doctor finds this machine ready, and says so as JSON as well', async (t) => {
  const sandbox = await Sandbox.create(t)
  const { stdout, exitCode } = await sandbox.cli('doctor')
  t.equal(exitCode, 0, stdout)
  for (const check of ['program', 'compiler', 'helper', 'learn', 'enforce', 'store'])
    t.match(stdout, new RegExp(`^ok +${check}: `, 'm'))
  t.match(JSON.parse((await sandbox.cli('doctor', '--json')).stdout)[0], { check: 'program', state: 'ok' })
})

test('the same source runs on Node', async (t) => {
  const sandbox = await withPolicy(t)
  const main = join(import.meta.dirname, '../../src/cli/main.ts')
  const node = (...args: string[]) => execa(process.execPath, [main, '--config', sandbox.config, ...args])
  t.equal((await node('policy', 'show', 'web')).stdout, (await sandbox.cli('policy', 'show', 'web')).stdout)
  const file = (name: string) => join(sandbox.directory, name)
  await node('compile', 'web', '-o', file('node'), '--no-cache')
  await sandbox.cli('compile', 'web', '-o', file('bun'), '--no-cache')
  t.same(readFileSync(file('node')), readFileSync(file('bun')))

  const hook = (name: string) => ({
    path: process.execPath,
    args: ['node', main, 'hook', name, '--config', sandbox.config],
    env: [],
  })
  const args = ['/fixtures/act', 'hello']
  t.match(
    await sandbox.run({ mode: 'learn', args, hooks: { createRuntime: [hook('learn')], poststop: [hook('learn')] } }),
    { exitCode: 0 },
  )
  const enforced = await sandbox.run({
    mode: 'enforce',
    args: [...args, 'socket'],
    hooks: { createRuntime: [hook('enforce')] },
  })
  t.equal(enforced.stdout, 'hello: ok\nsocket: Operation not permitted')
})
