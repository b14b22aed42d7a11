import { test } from 'tap'
import type { AllowedSyscall } from '../../src/generated/policy.ts'
import { lintPolicy } from '../../src/policy/lint.ts'
import { policy } from '../lib/policies.ts'

function dangers(...calls: (string | AllowedSyscall)[]): string[] {
  const findings = lintPolicy(policy(calls)).filter(({ kind }) => kind === 'dangerous')
  return findings.map(({ call, reason }) => `${call}: ${reason}`)
}

test('calls that are dangerous with any arguments', async (t) => {
  const calls = [
    'ptrace',
    'bpf',
    'userfaultfd',
    'keyctl',
    'io_uring_setup',
    'mount',
    'perf_event_open',
    'kexec_load',
    'init_module',
  ]
  t.equal(dangers(...calls, 'process_vm_readv', 'clone3', 'setns').length, 12)
  t.same(dangers('read', 'openat', 'mmap', 'futex'), [])
  t.match(dangers({ number: 600 }), [/#600 .*: has no name here/])
  t.match(dangers({ name: 'ptrace', reasons: ['a debugger'] }), [/ptrace .*\(allowed, because: a debugger\)/])
})

test('calls that are dangerous with certain arguments', async (t) => {
  const rule = (
    name: string,
    index: number,
    op: '==' | 'masked==' | '!=' | '<',
    value: number,
    mask?: number,
  ): AllowedSyscall => ({
    name,
    rules: [[{ index, op, value, ...(mask === undefined ? {} : { mask }) }]],
  })
  const NEWUSER = 0x1000_0000
  const cases: [call: string | AllowedSyscall, dangerous: boolean][] = [
    ['unshare', true],
    [rule('unshare', 0, '==', NEWUSER), true],
    [rule('unshare', 0, '==', 0x2000_0000), false],
    [rule('unshare', 0, 'masked==', 0, NEWUSER), false],
    [rule('unshare', 0, 'masked==', 0, 0x100), true],
    ['clone', true],
    [rule('clone', 0, 'masked==', 0, 0x7e02_0000), false],
    [rule('clone', 0, '!=', 5), true],
    ['socket', true],
    [rule('socket', 0, '==', 1), false],
    [rule('socket', 0, '==', 16), true],
    [rule('socket', 0, '!=', 16), true],
    [rule('socket', 0, '<', 3), false],
    [rule('socket', 0, 'masked==', 2, 0xffff_ffff), false],
    ['ioctl', true],
    [rule('ioctl', 1, '==', 0x5412), true],
    [rule('ioctl', 1, '!=', 0x5412), false],
    [{ name: 'socket', learned: { arguments: [0], values: [[1], [2]] } }, false],
    [{ name: 'socket', learned: { arguments: [0], values: [[1], [16]] } }, true],
    ['personality', true],
    [rule('personality', 0, '==', 0), false],
  ]
  for (const [call, dangerous] of cases) t.equal(dangers(call).length === 1, dangerous, JSON.stringify(call))
})

test('what looks too narrow', async (t) => {
  const narrow = lintPolicy(policy(['read'])).filter(({ kind }) => kind === 'narrow')
  t.match(narrow.map(({ reason }) => reason).join('\n'), /exit_group is missing.*no run was seen from its first call/s)
})
