import { test } from 'tap'
import { allowed, collect, corpus } from '../../lib/imports.ts'

/** What the program of the corpus did, but for what its dynamic loader did. */
const OF_I80 = ['clone', 'write', 'exit_group', '#600']

test('calls of several processes, with pids; the execve that starts the program is left out', async (t) => {
  const found = collect('strace', corpus('strace/pids'))
  const names = allowed(found).x86_64 as string[]
  for (const name of ['brk', 'openat', 'vfork', 'wait4', 'exit_group', 'clone']) t.ok(names.includes(name), name)
  t.ok(names.includes('execve'), 'ls was started by the program')
  t.equal(found.architectures().x86_64?.syscalls.find(({ name }) => name === 'execve')?.count, 1)
  t.match(found.notes, ['the execve that starts the program, which is not its own'])
  t.equal(found.unknown.size, 0)
})

test('32-bit calls are told from 64-bit ones by what strace says of each process', async (t) => {
  const found = allowed(collect('strace', corpus('strace/modes')))
  t.same(found.x86, ['getpid'])
  for (const name of OF_I80) t.ok(found.x86_64?.includes(name), name)
  t.notOk(found.x86_64?.includes('getpid'))
  t.notOk(found.x86_64?.includes('execve'))
})

test('a program that is 32-bit from its start', async (t) => {
  const found = allowed(collect('strace', corpus('strace/x86')))
  t.notOk(found.x86_64, 'the execve that starts it is all that is 64-bit')
  for (const name of ['set_thread_area', 'ugetrlimit', 'write', 'clone']) t.ok(found.x86?.includes(name), name)
})

test('tables of -c and -C, also of two ABIs; exit_group, which they lack, is added', async (t) => {
  const table = collect('strace', corpus('strace/table'))
  t.same(allowed(table).x86, ['exit_group', 'getpid'])
  t.equal(table.architectures().x86?.syscalls.find(({ name }) => name === 'getpid')?.count, 3)
  t.notOk(allowed(table).x86_64?.includes('execve'))
  t.match(table.notes, ['strace -c does not count exit_group, which is added'])
  const both = allowed(collect('strace', corpus('strace/both')))
  for (const name of OF_I80) t.ok(both.x86_64?.includes(name), name)
})

test('lines in all their forms', async (t) => {
  const text = [
    'getpid() = 7',
    '[pid   12] 09:49:16.388018 close(3) = 0 <0.000048>',
    '12 1609459200.123456 dup(1) = -1 EBADF (Bad file descriptor)',
    '     0.000123 pause() = ? ERESTARTNOHAND (To be restarted if no handler)',
    '[00007f9186694ad7] getuid() = 0',
    '[  12] [00007f9186694ad7] brk(NULL) = 0x55',
    '--- SIGCHLD {si_signo=SIGCHLD, si_code=CLD_EXITED} ---',
    '13 read(0,  <unfinished ...>',
    '12 <... write resumed>) = 1',
    '13 <... read resumed>"", 1) = 0',
    'restart_syscall(<... resuming interrupted read ...>) = 0',
    'syscall_0x1ff(0, 0) = -1 ENOSYS (Function not implemented)',
    'write(1, "a = b(c\\n", 8) = 8',
    ' > /usr/lib/libc.so.6(write+0x10) [0x1234]',
    '+++ exited with 0 +++',
  ].join('\n')
  const found = collect('strace', `${text}\n`)
  t.same(
    new Set(allowed(found).x86_64),
    new Set(['getpid', 'close', 'dup', 'pause', 'getuid', 'brk', 'read', 'write', 'restart_syscall', '#511']),
  )
  t.same(found.notes, [])
  t.equal(found.architectures().x86_64?.syscalls.find(({ name }) => name === 'read')?.count, 1, 'a resumed call is one')
})

test('what is not of strace is noted, and so is a last line that is not whole', async (t) => {
  const found = collect('strace', 'hello (world)\ngetpid() = 1\ngetuid(')
  t.same(allowed(found).x86_64, ['getpid'])
  t.same(found.notes, ['a last line that is not whole: line 3', 'lines that are not of strace: line 1'])
})

test('the files of one -ff trace hold one start between them', async (t) => {
  const files = ['execve("/bin/sh", ["sh"], 0x7f) = 0\nvfork() = 8\n', 'execve("/bin/ls", ["ls"], 0x7f) = 0\n']
  const found = collect('strace', files)
  t.same(new Set(allowed(found).x86_64), new Set(['execve', 'vfork']))
  t.equal(collect('strace', files[0] as string).has('x86_64', 'execve'), false)
})

test('a name of another architecture is an error: the lines do not say what the program was', async (t) => {
  const found = collect('strace', 'ugetrlimit(RLIMIT_STACK, 0x1) = 0\nfrobnicate(1) = 0\n')
  t.same(
    [...found.unknown],
    [
      ['ugetrlimit', 'line 1: not a call of x86_64'],
      ['frobnicate', 'line 2'],
    ],
  )
  const right = collect('strace', 'ugetrlimit(RLIMIT_STACK, 0x1) = 0\n', { architecture: 'x86' })
  t.same(allowed(right), { x86: ['ugetrlimit'] })
})

test('x32 numbers carry their bit', async (t) => {
  const text = '[ Process PID=5 runs in x32 mode. ]\nsyscall_0x230(0) = 0\ngetpid() = 5\n'
  t.same(allowed(collect('strace', text)).x32, ['getpid', `#${0x4000_0000 + 0x230}`])
})
