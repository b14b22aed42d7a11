/** The audit log and Tracee's events. */
import { test } from 'tap'
import { allowed, collect, corpus } from '../../lib/imports.ts'

test('audit: SECCOMP and SYSCALL records, raw, enriched and interpreted, by architecture', async (t) => {
  const found = collect('audit', corpus('audit/log'))
  t.same(allowed(found), {
    x86_64: ['mkdir', 'openat', 'setgroups', 'getgid'].filter((name) => name !== 'setgroups').sort(),
    x86: ['open'],
    x32: ['write'],
  })
  t.same(found.notes, ['other lines of the log: 1'])
})

test("audit: the kernel's log; a number without a name stays a number", async (t) => {
  const found = collect('audit', corpus('audit/dmesg'))
  t.same(allowed(found), { x86_64: ['mkdir', '#600'], x86: ['getpid'] })
})

test('audit: one program among others', async (t) => {
  t.same(allowed(collect('audit', corpus('audit/dmesg'), { comm: 'mkdir' })), { x86_64: ['mkdir'] })
  t.same(allowed(collect('audit', corpus('audit/log'), { comm: 'my tool' })), { x32: ['write'] }, 'in hexadecimal')
})

test('audit: what cannot be used is noted', async (t) => {
  const text = [
    'type=SECCOMP msg=audit(1:1): arch=c0000015 syscall=1 code=0x0',
    'type=SECCOMP msg=audit(1:2): arch=c000003e code=0x0',
    'type=SECCOMP msg=audit(1:3): arch=c000003e syscall=-1 code=0x0',
    'type=SYSCALL msg=audit(1:4): arch=x86_64 syscall=frobnicate',
  ].join('\n')
  const found = collect('audit', text)
  t.ok(found.empty)
  t.same(found.notes, [
    'no kernel has such a number: -1',
    'records of architectures that policies do not have: arch=c0000015',
    'records without arch= or syscall=: line 2',
  ])
  t.same([...found.unknown], [['frobnicate', 'line 4']])
})

test('tracee: calls, compat calls, sys_enter; other events count for the call they name', async (t) => {
  const found = collect('tracee', corpus('tracee/events'))
  t.same(allowed(found), { x86_64: ['execve', 'getpid', 'openat', 'write'], x86: ['read'] })
  t.same(found.notes, ['events that are no system calls: net_packet_base'])
  t.same(allowed(collect('tracee', corpus('tracee/events'), { comm: 'cat' })), { x86_64: ['write'] })
})

test('tracee: our own events say the ABI, and have calls without a name', async (t) => {
  const events = [
    '{"eventName":"read","eventId":"0","abi":"x32","contextFlags":{"isCompat":false}}',
    '{"eventName":"syscall_900","eventId":"900","abi":"x86_64"}',
    '{"eventName":"syscall_901","eventId":"901","abi":"x32"}',
    '{"eventName":"write","eventId":"1","abi":"vax"}',
  ]
  const number = `#${0x4000_0000 + 901}`
  t.same(allowed(collect('tracee', `${events.join('\n')}\n`)), { x32: ['read', number], x86_64: ['write', '#900'] })
})

test('tracee: an unknown call is not taken for another kind of event', async (t) => {
  const found = collect('tracee', '{"eventName":"frobnicate","eventId":"472"}\n')
  t.same([...found.unknown], [['frobnicate', 'line 1']])
})

test('tracee: what is no event is refused with its place; a torn last line is noted', async (t) => {
  const line = '{"eventName":"read","eventId":"0"}'
  t.throws(() => collect('tracee', `${line}\n{"eventName"\n${line}\n`), {
    code: 'IMPORT_INVALID',
    message: /line 2: expected ":"/,
  })
  t.throws(() => collect('tracee', `${line}\n[]\n`), { message: /line 2: expected a JSON object/ })
  t.throws(() => collect('tracee', '{"event":"read"}\n'), { message: /line 1: expected a Tracee event/ })
  const torn = collect('tracee', `${line}\n{"eventNa`)
  t.same(torn.notes, ['a last line that is not whole: line 2'])
})
