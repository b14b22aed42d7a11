/** oci-sandbox import. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { execa } from 'execa'
import { test } from 'tap'
import { encodePolicy } from '../../src/policy/document.ts'
import { policy } from '../lib/policies.ts'
import { namesOf, OCI_SANDBOX, Sandbox } from '../lib/sandbox.ts'

const CORPUS = join(import.meta.dirname, '../corpus')

test('a file becomes a policy, with where it came from and what is not in it', async (t) => {
  const sandbox = await Sandbox.create(t)
  const file = join(CORPUS, 'profile/conditions.json')
  const dry = await sandbox.cli('import', '--format', 'oci', file, '--name', 'web', '--dry-run', '--kernel', '6.1')
  t.match(dry, { exitCode: 0, stdout: /^x32: 10 syscalls, 4 of them with certain arguments only\n/ })
  t.match(dry.stderr, /^oci-sandbox: not carried over: calls with the condition CAP_SYS_ADMIN: clone mount$/m)
  t.notOk(existsSync(sandbox.store), '--dry-run writes nothing')
  const done = await sandbox.cli('import', '--format', 'oci', file, '--name', 'web', '--kernel', '6.1')
  t.match(done, { exitCode: 0, stdout: /\nadded to policy web$/, stderr: dry.stderr })
  const stored = await sandbox.policy('web')
  t.match(stored, { name: 'web', complete: false, runs: [] })
  t.match(stored.imports, [{ format: 'oci', source: 'conditions.json', digest: /^sha256:/, notes: /CAP_SYS_ADMIN/ }])
  t.match((await sandbox.cli('policy', 'show', 'web')).stdout, /\nimported:\n.* oci +conditions\.json +sha256:/)
})

test('an import is added to what is there, and twice is once', async (t) => {
  const sandbox = await Sandbox.create(t)
  sandbox.writePolicy(encodePolicy(policy(['pause'], { name: 'web' })), 'web')
  const add = (...args: string[]) => sandbox.cli('import', '--name', 'web', ...args)
  t.match(await add('--format', 'strace', join(CORPUS, 'strace/modes')), { exitCode: 0 })
  const first = await sandbox.policy('web')
  for (const name of ['pause', 'clone', 'restart_syscall', 'rt_sigreturn']) t.ok(namesOf(first).includes(name), name)
  t.ok(first.architectures.x86)
  await add('--format', 'strace', join(CORPUS, 'strace/modes'))
  t.same(await sandbox.policy('web'), first)
})

test('from standard input; a real trace of strace', async (t) => {
  const sandbox = await Sandbox.create(t)
  const { stderr } = await execa('strace', ['-f', '/usr/bin/true'])
  const args = ['--config', sandbox.config, 'import', '--format', 'strace', '-', '--name', 'true']
  const { exitCode, stderr: said } = await execa(OCI_SANDBOX, args, { input: stderr, reject: false })
  t.match({ exitCode, said }, { exitCode: 0, said: /^oci-sandbox: not carried over: the execve/ })
  t.notMatch(said, /warning/, 'such a program can start')
  const names = namesOf(await sandbox.policy('true'))
  t.ok(names.includes('exit_group') && names.includes('mmap') && !names.includes('execve'))
})

test('a set that cannot start a program is imported with a warning', async (t) => {
  const sandbox = await Sandbox.create(t)
  const file = join(sandbox.directory, 'profile.json')
  writeFileSync(file, '{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{"names":["read"],"action":"SCMP_ACT_ALLOW"}]}')
  const { stderr, exitCode } = await sandbox.cli('import', '--format', 'docker', file, '--name', 'x')
  t.equal(exitCode, 0)
  t.match(stderr, /warning: x86_64: no program can end properly: exit_group is missing/)
  t.match(
    stderr,
    /warning: x86_64: no dynamically linked program can start: openat, fstat, mmap, mprotect, close are missing/,
  )
})

test('unknown names are refused, or left out and said', async (t) => {
  const sandbox = await Sandbox.create(t)
  const file = join(sandbox.directory, 'unit')
  writeFileSync(file, 'SystemCallFilter=read frobnicate\n')
  const refused = await sandbox.cli('import', '--format', 'systemd', file, '--name', 'x')
  t.match(refused, { exitCode: 1, stdout: '', stderr: /no known call: frobnicate \(line 1\).* \[IMPORT_INVALID\]$/ })
  t.notOk(existsSync(sandbox.policyPath('x')))
  const skipped = await sandbox.cli('import', '--format', 'systemd', file, '--name', 'x', '--skip-unknown')
  t.match(skipped, { exitCode: 0, stderr: /names that are no known call \(left out\): frobnicate/ })
})

test('errors say what is wrong', async (t) => {
  const sandbox = await Sandbox.create(t)
  const file = join(sandbox.directory, 'file')
  writeFileSync(file, 'nothing of strace\n')
  const cases: [args: string[], exitCode: number, message: RegExp][] = [
    [[file, '--name', 'x'], 2, /expected --format audit\|.*, found none \[USAGE\]/],
    [[file, '--name', 'x', '--format', 'toml'], 2, /found toml \[USAGE\]/],
    [[file, '--format', 'oci'], 2, /say which policy with --name NAME \[USAGE\]/],
    [[file, '--format', 'oci', '--name', '../x'], 2, /is no policy's name/],
    [
      [file, '--format', 'oci', '--name', 'x', '--architecture', 'vax'],
      2,
      /--architecture: expected aarch64, .*, found vax/,
    ],
    [['-', '-', '--format', 'oci', '--name', 'x'], 2, /once only/],
    [['/nonexistent', '--format', 'oci', '--name', 'x'], 1, /cannot read \/nonexistent: ENOENT.*\[INPUT_UNREADABLE\]/],
    [[sandbox.directory, '--format', 'oci', '--name', 'x'], 1, /cannot read .*EISDIR.*\[INPUT_UNREADABLE\]/],
    [
      [file, '--format', 'oci', '--name', 'x'],
      1,
      /cannot import .* as oci: expected a value, found "n" at 1:1 \[IMPORT_INVALID\]/,
    ],
    [
      [file, '--format', 'strace', '--name', 'x'],
      1,
      /no system call is in it \(lines that are not of strace: line 1\)/,
    ],
    [[file, '--format', 'policy', '--name', 'x'], 1, /\[POLICY_INVALID\]/],
  ]
  for (const [args, exitCode, message] of cases) {
    const found = await sandbox.cli('import', ...args)
    t.match(found, { exitCode, stdout: '' }, args.join(' '))
    t.match(found.stderr, message)
    t.notMatch(found.stderr, /\n/, 'one line')
  }
})

test('a policy of this program under another name', async (t) => {
  const sandbox = await Sandbox.create(t)
  const file = join(sandbox.directory, 'web.json')
  writeFileSync(file, encodePolicy(policy(['read', 'write'], { name: 'web' })))
  await sandbox.cli('import', '--format', 'policy', file, '--name', 'copy')
  t.match(await sandbox.policy('copy'), { name: 'copy', imports: [{ format: 'policy', source: 'web.json' }] })
  t.match(readFileSync(sandbox.policyPath('copy'), 'utf8'), /"name": "read"/)
})

test('policy export in every format; what is exported can be imported again', async (t) => {
  const sandbox = await Sandbox.create(t)
  const rules = [[{ index: 0, op: '==' as const, value: 1 }]]
  const web = policy(['read', 'exit_group', { name: 'socket', rules }], { name: 'web' })
  sandbox.writePolicy(encodePolicy(web), 'web')
  const file = (name: string) => join(sandbox.directory, name)
  for (const format of ['oci', 'docker', 'kubernetes', 'spo']) {
    const args = ['--format', format, '--no-runtime-calls', '-o', file(format)]
    t.match(await sandbox.cli('policy', 'export', 'web', ...args), { exitCode: 0, stdout: '', stderr: '' })
    t.match(await sandbox.cli('import', '--format', format, file(format), '--name', `web-${format}`), { exitCode: 0 })
    const again = await sandbox.policy(`web-${format}`)
    t.same(again.architectures, web.architectures, format)
  }
  t.match(readFileSync(file('spo'), 'utf8'), /^apiVersion: .*\nkind: SeccompProfile\nmetadata:\n {2}name: web\n/)
  const pfc = await sandbox.cli('policy', 'export', 'web', '--format', 'pfc')
  t.match(pfc.stdout, /^# policy web\n# x86_64: numbers above 471 get ENOSYS first\n#\n# pseudo filter code start/)
  await sandbox.cli('policy', 'export', 'web', '--format', 'bpf', '-o', file('bpf'))
  await sandbox.cli('compile', 'web', '-o', file('compiled'))
  t.same(readFileSync(file('bpf')), readFileSync(file('compiled')))
  t.match(await sandbox.cli('policy', 'export', 'web', '--format', 'systemd'), {
    exitCode: 1,
    stderr: /rules for socket; allow any arguments with --lossy \[EXPORT_IMPOSSIBLE\]$/,
  })
  t.match(await sandbox.cli('policy', 'export', 'web', '--format', 'systemd', '--lossy'), {
    exitCode: 0,
    stdout: /\nSystemCallFilter=exit_group read socket\nSystemCallErrorNumber=EPERM$/,
    stderr: 'oci-sandbox: widened to any arguments: socket (x86_64)',
  })
})
