// The commands around learn and enforce: usage, probe, readback, lock, and the digest.

import { createHash, randomBytes } from 'node:crypto'
import { readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { execa } from 'execa'
import t from 'tap'
import { isWaitedFor } from '../lib/processes.ts'
import { allowOnly } from './bpf.ts'
import { fixtures, isStopped, statusField, temporary, tracer, until } from './harness.ts'

const call = (...args: string[]) => execa(tracer, args, { reject: false, stdin: 'ignore' })

t.test('usage', async (t) => {
  const { version } = JSON.parse(await readFile(join(import.meta.dirname, '../../package.json'), 'utf8'))
  t.match(await call('--version'), { exitCode: 0, stdout: `oci-sandbox-tracer ${version}` })
  t.match(await call('--help'), { exitCode: 0, stdout: /^Usage: / })
  for (const command of ['learn', 'enforce', 'probe', 'readback', 'lock', 'calibrate']) {
    t.match(await call(command, '--help'), { exitCode: 0, stdout: new RegExp(`^Usage: oci-sandbox-tracer ${command}`) })
    t.match(await call(command, '--nonsense'), {
      exitCode: 2,
      stderr: new RegExp(`^oci-sandbox-tracer: ${command}: unknown`),
    })
  }
  t.match(await call(), { exitCode: 2, stderr: /a command is missing/ })
  t.match(await call('nonsense'), { exitCode: 2, stderr: /unknown command nonsense/ })
  for (const pid of ['0', '-1', '4194305', '1x', '', '99999999999999999999'])
    t.match(await call('readback', '--pid', pid), { exitCode: 2, stderr: /expected a number from 1 to 4194304/ }, pid)
  t.match(await call('enforce', '--pid', '1'), { exitCode: 2, stderr: /--filter is missing/ })
  t.match(await call('enforce', '--install', 'late'), {
    exitCode: 2,
    stderr: /expected auto, early, exec, present or within/,
  })
})

t.test('probe', async (t) => {
  const { stdout, exitCode } = await call('probe')
  t.equal(exitCode, 0)
  t.match(JSON.parse(stdout), {
    kernel: (await readFile('/proc/sys/kernel/osrelease', 'utf8')).trim(),
    machine: 'x86_64',
    capSysAdmin: true,
    initialUserNamespace: true,
    ptraceSeize: true,
    suspendSeccomp: true,
    getFilter: true,
    syscallInfo: true,
    ebpf: true,
    earlyInstall: true,
    logFlag: true,
    tracerFiltered: false,
    learnBackends: ['ptrace-syscall', 'ptrace-trace', 'ptrace-adaptive', 'ptrace-known'],
  })
  const actions = (await readFile('/proc/sys/kernel/seccomp/actions_avail', 'utf8')).trim().split(' ')
  t.same(JSON.parse(stdout).seccompActions, actions)
  const weak = await execa('setpriv', [
    '--bounding-set=-sys_admin',
    '--inh-caps=-all',
    '--no-new-privs',
    tracer,
    'probe',
  ])
  t.match(JSON.parse(weak.stdout), {
    capSysAdmin: false,
    ptraceSeize: true,
    suspendSeccomp: false,
    earlyInstall: false,
    getFilter: false,
  })
})

t.test('enforce without CAP_SYS_ADMIN', async (t) => {
  const victim = execa('sleep', ['100'], { reject: false })
  t.teardown(() => victim.kill('SIGKILL'))
  const filter = join(await temporary(t), 'filter')
  await writeFile(filter, allowOnly([1]))
  const weak = (...args: string[]) =>
    execa(
      'setpriv',
      ['--bounding-set=-sys_admin', tracer, 'enforce', '--pid', String(victim.pid), '--filter', filter, ...args],
      { reject: false },
    )
  for (const args of [[], ['--install', 'early']])
    t.match(await weak(...args), { exitCode: 1, stderr: /cannot suspend filters in pid \d+: .*CAP_SYS_ADMIN/ })
  t.equal(await statusField(victim.pid ?? 0, 'Seccomp'), '0')
})

t.test('readback of a process without filters, stopped or not', async (t) => {
  const victim = execa('sleep', ['100'], { reject: false })
  t.teardown(() => victim.kill('SIGKILL'))
  const pid = victim.pid ?? 0
  t.match(await call('readback', '--pid', String(pid)), { exitCode: 0, stdout: '' })
  process.kill(pid, 'SIGSTOP')
  await until('stopped', () => isStopped(pid))
  t.match(await call('readback', '--pid', String(pid)), { exitCode: 0, stdout: '' })
  await until('it is stopped again: a detached process wakes for a moment', () => isStopped(pid))
})

t.test('lock: a file that is removed under the lock', async (t) => {
  const file = join(await temporary(t), 'lock')
  const start = () => {
    const holder = execa(tracer, ['lock', file], { reject: false })
    t.teardown(() => holder.kill('SIGKILL'))
    return { holder, locked: new Promise((resolve) => holder.stdout.once('data', resolve)) }
  }
  const first = start()
  await first.locked
  const second = start()
  await until('the other one waits', () => isWaitedFor(file))
  await rm(file)
  first.holder.stdin.end()
  await second.locked
  t.match(await call('lock', '--timeout', '0', file), { exitCode: 1, stderr: /is locked by another process/ })
  second.holder.stdin.end()
  t.match(await second.holder, { exitCode: 0 })
})

t.test('lock', async (t) => {
  const directory = await temporary(t)
  const file = join(directory, 'lock')
  const first = execa(tracer, ['lock', file], { reject: false })
  await until(
    'locked',
    () => new Promise<boolean>((resolve) => first.stdout.once('data', (data) => resolve(String(data) === 'locked\n'))),
  )
  t.equal((await stat(file)).mode & 0o777, 0o600)
  t.match(await call('lock', '--timeout', '0', file), {
    exitCode: 1,
    stdout: '',
    stderr: /is locked by another process/,
  })
  t.match(await call('lock', '--timeout', '1', file), { exitCode: 1, stdout: '', stderr: /waited 1 s/ })
  const waiting = call('lock', file)
  first.stdin.end()
  t.match(await first, { exitCode: 0 })
  t.match(await waiting, { exitCode: 0, stdout: 'locked' })
  await symlink(file, join(directory, 'link'))
  t.match(await call('lock', join(directory, 'link')), { exitCode: 1, stderr: /a symbolic link is not followed/ })
})

t.test('SHA-256 equals that of others', async (t) => {
  for (const length of [0, 1, 55, 56, 63, 64, 65, 119, 120, 127, 128, 1000, 200_000]) {
    const input = randomBytes(length)
    const expected = createHash('sha256').update(input).digest('hex')
    for (const piece of ['1', '63', '65536']) {
      const { stdout } = await execa(join(fixtures, 'sha256'), [piece], { input })
      t.equal(stdout, expected, `${length} bytes in pieces of ${piece}`)
    }
  }
})
