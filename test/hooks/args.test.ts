/** io.sandbox.detail=args: a policy of arguments, on stock runc. */
import { type Test, test } from 'tap'
import type { AllowedSyscall } from '../../src/generated/policy.ts'
import { Sandbox } from '../lib/sandbox.ts'

const detail = { annotations: { 'io.sandbox.detail': 'args' } }

const learned = async (sandbox: Sandbox, name: string): Promise<AllowedSyscall | undefined> =>
  (await sandbox.policy()).architectures.x86_64?.syscalls.find((syscall) => syscall.name === name)

/** Those that record arguments in a way of their own. */
const backends = ['ebpf', 'ptrace-syscall']

const forEach = (title: string, check: (t: Test, sandbox: Sandbox) => Promise<void>): void => {
  for (const backend of backends)
    test(`${title}: ${backend}`, async (t) => check(t, await Sandbox.create(t, { learn: { backend } })))
}

forEach('a program that opens an AF_UNIX socket may do so, and may not open an AF_INET one', async (t, sandbox) => {
  t.match(await sandbox.run({ mode: 'learn', args: ['/fixtures/act', 'unix', 'hello'], ...detail }), { exitCode: 0 })
  t.match(await sandbox.policy(), { complete: true, runs: [{ detail: 'args' }] })
  t.match(await learned(sandbox, 'socket'), { learned: { arguments: [0, 1, 2], values: [[1, 1, 0]] } })
  t.same((await learned(sandbox, 'write'))?.learned, undefined, 'a call whose arguments do not matter')
  const enforced = { mode: 'enforce', args: ['/fixtures/act', 'unix', 'socket', 'hello'] } as const
  t.match(await sandbox.run(enforced), { stdout: 'unix: ok\nsocket: Operation not permitted\nhello: ok', exitCode: 0 })
  // A second run widens what was learned, and another program's run without arguments lifts the restriction.
  await sandbox.run({ mode: 'learn', args: ['/fixtures/act', 'socket'], ...detail })
  t.match(await sandbox.run(enforced), { stdout: 'unix: ok\nsocket: ok\nhello: ok' })
  await sandbox.run({ mode: 'learn', args: ['/fixtures/act', 'socket'] })
  t.same((await learned(sandbox, 'socket'))?.learned, undefined)
})

forEach('commands of an ioctl: as many as were seen, and when they are too many, any', async (t, sandbox) => {
  await sandbox.run({ mode: 'learn', args: ['/fixtures/act', 'ioctls', '300'], ...detail })
  t.equal((await learned(sandbox, 'ioctl'))?.learned?.values.length, 300)
  const enforced = { mode: 'enforce', args: ['/fixtures/act', 'ioctl', '299', 'ioctl', '300'] } as const
  t.match(await sandbox.run(enforced), {
    stdout: /^ioctl: Inappropriate ioctl for device\nioctl: Operation not permitted/,
  })
  await sandbox.run({ mode: 'learn', args: ['/fixtures/act', 'ioctls', '5000'], ...detail })
  t.same((await learned(sandbox, 'ioctl'))?.learned, undefined)
  t.equal((await sandbox.policy()).complete, true)
  t.match(await sandbox.run(enforced), {
    stdout: /^ioctl: Inappropriate ioctl for device\nioctl: Inappropriate ioctl for device/,
  })
})
