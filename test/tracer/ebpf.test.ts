// Watching with eBPF: the same sets as with ptrace, honest about what it cannot see, and harmless.

import { createHash } from 'node:crypto'
import { chmod, open, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { execa } from 'execa'
import t from 'tap'
import {
  type Bundle,
  type BundleOptions,
  countsOf,
  eventsOf,
  finishedLines,
  fixtures,
  learnHookWith,
  makeBundle,
  noProcessOf,
  printed,
  readLines,
  run,
  seenOf,
  start,
  statusField,
  type Teardown,
  temporary,
  tracer,
  until,
} from './harness.ts'

const hook = learnHookWith('ebpf')

const learn = async (t: Teardown, options: BundleOptions, prepare?: (bundle: Bundle) => Promise<unknown>) => {
  const bundle = await makeBundle(t, { hook, ...options })
  await prepare?.(bundle)
  const result = await run(bundle)
  const lines = await finishedLines(bundle.output)
  return { bundle, result, lines, finish: lines.at(-1) ?? {} }
}

t.test('the stream of a program with a known set', async (t) => {
  const { bundle, result, lines, finish } = await learn(t, { args: ['/bin/exact'] })
  t.equal(result.exitCode, 6)
  t.equal(result.stdout, 'exact')
  t.same(countsOf(lines), { 'x86_64:1': 1, 'x86_64:39': 3, 'x86_64:102': 2, 'x86_64:231': 1 })
  t.same(seenOf(lines), Object.keys(countsOf(lines)).sort())
  const digest = createHash('sha256')
    .update(await readFile(join(fixtures, 'exact')))
    .digest('hex')
  t.match(lines[0], { event: 'hello', protocol: 1, backend: 'ebpf' })
  t.match(lines[1], { event: 'attached', threads: Number })
  t.match(lines[2], { event: 'exec', exe: '/bin/exact' })
  t.same(eventsOf(lines, 'program'), [{ event: 'program', exe: '/bin/exact', sha256: digest }])
  t.match(finish, {
    exit: { code: 6 },
    complete: true,
    reason: 'exited',
    calls: 7,
    distinct: 4,
    tasks: 1,
    lost: { tasks: 0, writes: 0, calls: 0 },
  })
  await noProcessOf(bundle)
})

/** Programs, and the calls of which the number, or the presence, is a matter of scheduling. */
const PROGRAMS: Record<
  string,
  { args: string[]; racy?: string[]; counts?: false; startContainer?: { path: string; args: string[] }[] }
> = {
  exact: { args: ['/bin/exact'] },
  dynamic: { args: ['/bin/dynamic'] },
  exact32: { args: ['/bin/exact32'] },
  int80: { args: ['/bin/int80'] },
  signals: { args: ['/bin/signals'], counts: false },
  stop1: { args: ['/bin/stop1'], counts: false },
  family: { args: ['/bin/family'], racy: ['x86_64:202'] },
  // The others may sleep (pause, 34) before one executes, or not get that far.
  execthread: { args: ['/bin/execthread'], racy: ['x86_64:34', 'x86_64:202'], counts: false },
  stress: { args: ['/bin/stress', '50'], racy: ['x86_64:202'], counts: false },
  // At full speed it may be over before one of its threads has begun: getppid (110).
  crowd: { args: ['/bin/crowd'], racy: ['x86_64:110', 'x86_64:202'], counts: false },
  shell: { args: ['/bin/busybox', 'sh', '-c', 'busybox uname; busybox ls / | busybox wc -l; (exit 3)'], counts: false },
  hooks: { args: ['/bin/exact'], startContainer: [{ path: '/bin/busybox', args: ['busybox', 'uname'] }] },
}

t.test('the set is the one that ptrace sees', async (t) => {
  for (const [name, { args, racy = [], counts, startContainer }] of Object.entries(PROGRAMS)) {
    const options = { args, programs: [args[0]?.slice(5) ?? ''], ...(startContainer ? { startContainer } : {}) }
    const { result, lines, finish } = await learn(t, options)
    const bundle = await makeBundle(t, { ...options, hook: learnHookWith('ptrace-syscall') })
    const traced = await run(bundle)
    const expected = await readLines(bundle.output)
    const rest = (keys: string[]) => keys.filter((key) => !racy.includes(key))
    t.equal(result.exitCode, traced.exitCode, `${name}: exit code`)
    t.equal(result.stdout, traced.stdout, `${name}: output`)
    t.same(rest(seenOf(lines)), rest(seenOf(expected)), `${name}: set`)
    if (counts !== false && racy.length === 0) t.same(countsOf(lines), countsOf(expected), `${name}: counts`)
    const { complete, tasks, exit } = expected.at(-1) ?? {}
    t.match(finish, { complete, tasks, exit }, `${name}: last line`)
    t.equal(complete, true)
  }
})

t.test('hundreds of short-lived threads and processes are counted to the last', async (t) => {
  const { lines, finish } = await learn(t, { args: ['/bin/stress', '50'], programs: ['stress'] })
  t.match(countsOf(lines), { 'x86_64:111': 400, 'x86_64:102': 400 })
  t.match(finish, { complete: true, tasks: 801 })
})

t.test('a child that asks not to be traced is seen', async (t) => {
  for (const how of ['clone', 'clone3']) {
    const { result, lines, finish } = await learn(t, { args: ['/bin/untraced', how], programs: ['untraced'] })
    t.equal(result.exitCode, 0, how)
    t.equal(countsOf(lines)['x86_64:102'], 1, 'what it did')
    t.match(finish, { complete: true, tasks: 2, lost: { tasks: 0 } })
  }
})

t.test('a script: the interpreter is the program', async (t) => {
  const { result, lines } = await learn(t, { args: ['/bin/script'] }, async ({ rootfs }) => {
    await writeFile(join(rootfs, 'bin/script'), '#!/bin/exact\n')
    await chmod(join(rootfs, 'bin/script'), 0o755)
  })
  t.equal(result.exitCode, 6)
  t.same(eventsOf(lines, 'exec'), [{ event: 'exec', exe: '/bin/exact' }])
})

t.test('a command that is not found', async (t) => {
  const { result, finish } = await learn(t, { args: ['/bin/missing'] })
  t.match(result.stderr, /\/bin\/missing.*no such file or directory/)
  t.match(finish, { complete: false, reason: 'no-exec', calls: 0 })
})

t.test('an end by a signal, and of a leader that ends before its threads', async (t) => {
  const bundle = await makeBundle(t, { args: ['/bin/spin'], programs: ['spin'], hook })
  const running = start(bundle)
  await printed(running, 'ready')
  process.kill((await readLines(bundle.output))[0]?.pid, 'SIGKILL')
  t.equal((await running).exitCode, 128 + 9)
  t.match((await finishedLines(bundle.output)).at(-1), { complete: true, reason: 'exited', exit: { signal: 9 } })
})

t.test('once the program runs nobody traces it', async (t) => {
  const bundle = await makeBundle(t, { args: ['/bin/busybox', 'sh', '-c', 'echo ready; read x; exit 3'], hook })
  const running = start(bundle)
  await printed(running, 'ready')
  const { pid } = (await readLines(bundle.output))[0] ?? {}
  await until('the tracer has let go', async () => (await statusField(pid, 'TracerPid')) === '0')
  running.stdin.end()
  t.equal((await running).exitCode, 3)
  t.match((await finishedLines(bundle.output)).at(-1), { complete: true, exit: { code: 3 } })
})

t.test('kill -9 of the tracer: the container goes on, what was seen is kept', async (t) => {
  for (let i = 0; i < 5; i++) {
    const bundle = await makeBundle(t, { args: ['/bin/spin'], programs: ['spin'], hook })
    const running = start(bundle)
    await printed(running, 'ready')
    const hello = (await readLines(bundle.output))[0] ?? {}
    await until('a call is seen', async () => seenOf(await readLines(bundle.output)).includes('x86_64:110'))
    process.kill(hello.tracerPid, 'SIGKILL')
    await until('the tracer is gone', async () => /^Z|^$/.test((await statusField(hello.tracerPid, 'State')) ?? ''))
    const before = await readFile(bundle.output, 'utf8')
    running.stdin.end()
    t.equal((await running).exitCode, 9, 'unharmed')
    t.equal(await readFile(bundle.output, 'utf8'), before, 'no line that claims an end')
    t.notOk(seenOf(await readLines(bundle.output)).includes('x86_64:111'), 'nor anything that came later')
  }
})

t.test('SIGTERM to the tracer', async (t) => {
  const bundle = await makeBundle(t, { args: ['/bin/spin'], programs: ['spin'], hook })
  const running = start(bundle)
  await printed(running, 'ready')
  process.kill((await readLines(bundle.output))[0]?.tracerPid, 'SIGTERM')
  const lines = await finishedLines(bundle.output)
  t.match(lines.at(-1), { complete: false, reason: 'terminated', exit: null })
  t.ok(countsOf(lines)['x86_64:1'], 'what was seen until then')
  running.stdin.end()
  t.equal((await running).exitCode, 9)
  await noProcessOf(bundle)
})

t.test("the host's pid namespace: tasks that outlive init are recorded", async (t) => {
  const directory = await temporary(t)
  const output = join(directory, 'stream')
  const fifo = join(directory, 'fifo')
  await execa('mkfifo', [fifo])
  const pipe = await open(fifo, 'r+') // its end is the end of the orphan's standard input
  const program = execa('sh', ['-c', 'exec <"$2"; read x; exec "$1"', 'sh', join(fixtures, 'orphan'), fifo], {
    reject: false,
    stdio: 'ignore',
  })
  await until('the shell waits', async () =>
    (await readFile(`/proc/${program.pid}/syscall`, 'utf8')).startsWith('0 0x0 '),
  )
  await execa(tracer, ['learn', '--backend', 'ebpf', '--pid', String(program.pid), '--output', output])
  await pipe.write('\n')
  const lines = await until('init has ended', async () => {
    const all = await readLines(output)
    return eventsOf(all, 'init-exit').length > 0 && all
  })
  t.match(eventsOf(lines, 'init-exit'), [{ exit: { code: 5 }, tasks: 1 }])
  t.same(eventsOf(lines, 'finish'), [])
  await pipe.close()
  const all = await finishedLines(output)
  t.match(all.at(-1), { complete: true, reason: 'exited', exit: { code: 5 }, tasks: 2 })
  t.equal(countsOf(all)['x86_64:111'], 1, 'what the orphan did after the end of init')
  t.equal((await program).exitCode, 5)
})

const denying = (...names: string[]) => ({
  defaultAction: 'SCMP_ACT_ALLOW',
  architectures: ['SCMP_ARCH_X86_64'],
  syscalls: [{ names, action: 'SCMP_ACT_ERRNO', errnoRet: 1 }],
})

t.test("calls that the runtime's own filter denies are seen, and counted as denied", async (t) => {
  const { result, lines, finish } = await learn(t, {
    args: ['/bin/exact'],
    seccomp: denying('getuid'),
    noNewPrivileges: true,
  })
  t.equal(result.exitCode, 6)
  t.same(countsOf(lines), { 'x86_64:1': 1, 'x86_64:39': 3, 'x86_64:102': 2, 'x86_64:231': 1 })
  t.same(
    eventsOf(lines, 'count').filter(({ denied }) => denied),
    [{ event: 'count', arch: 'x86_64', nr: 102, count: 2, denied: 2 }],
  )
  t.match(finish, { complete: true, calls: 7 })
  const busy = await learn(t, {
    args: ['/bin/stress', '20'],
    programs: ['stress'],
    seccomp: denying('getuid', 'getpgrp'),
    noNewPrivileges: true,
  })
  t.match(countsOf(busy.lines), { 'x86_64:111': 160, 'x86_64:102': 160 })
  t.match(
    eventsOf(busy.lines, 'count')
      .filter(({ denied }) => denied)
      .map(({ nr, denied }) => [nr, denied]),
    [
      [102, 160],
      [111, 160],
    ],
  )
  t.match(busy.finish, { complete: true })
})

t.test(
  'a filter that the program installs itself makes the run partial, and what it denies later is seen',
  async (t) => {
    for (const how of ['seccomp', 'prctl']) {
      const bundle = await makeBundle(t, { args: ['/bin/ownfilter', how], programs: ['ownfilter'], hook })
      const running = start(bundle)
      await printed(running, 'ready')
      running.stdin.write('\n')
      await until('the filter was noticed', async () => eventsOf(await readLines(bundle.output), 'warn').length > 0)
      running.stdin.end('\n')
      t.equal((await running).exitCode, 0, 'it was denied')
      const lines = await finishedLines(bundle.output)
      t.match(eventsOf(lines, 'warn'), [{ code: 'late-filter' }], how)
      t.match(
        eventsOf(lines, 'count').find(({ nr }) => nr === 102),
        { arch: 'x86_64', count: 1, denied: 1 },
      )
      t.match(lines.at(-1), { complete: false, reason: 'exited', lost: { calls: 1 } })
    }
  },
)

t.test('with --denied such a run is complete', async (t) => {
  const bundle = await makeBundle(t, { args: ['/bin/ownfilter'], programs: ['ownfilter'], hook: [...hook, '--denied'] })
  const running = start(bundle)
  await printed(running, 'ready')
  running.stdin.end('\n\n')
  t.equal((await running).exitCode, 0)
  const lines = await finishedLines(bundle.output)
  t.same(eventsOf(lines, 'warn'), [])
  t.match(
    eventsOf(lines, 'count').find(({ nr }) => nr === 102),
    { arch: 'x86_64', count: 1, denied: 1 },
  )
  t.match(lines.at(-1), { complete: true, reason: 'exited' })
})

t.test('more tasks at a time than there is room for', async (t) => {
  const bundle = await makeBundle(t, {
    args: ['/bin/busybox', 'sh', '-c', 'busybox cat | busybox cat | busybox cat; exit 5'],
    hook: [...hook, '--most-tasks', '2'],
  })
  const running = start(bundle)
  running.stdin.write('ready\n')
  await printed(running, 'ready') // all four live
  running.stdin.end()
  t.equal((await running).exitCode, 5, 'the container does not notice')
  const lines = await finishedLines(bundle.output)
  t.match(eventsOf(lines, 'warn'), [{ code: 'task-table-full' }])
  t.match(lines.at(-1), { complete: false, reason: 'exited', tasks: 2, lost: { tasks: 2 } })
})

t.test('10 million calls', async (t) => {
  const { bundle, result, lines, finish } = await learn(t, {
    args: ['/bin/busybox', 'dd', 'if=/dev/zero', 'of=/dev/null', 'bs=1', 'count=5000000'],
  })
  t.equal(result.exitCode, 0)
  t.ok(countsOf(lines)['x86_64:0'] ?? 0 >= 5_000_000)
  t.ok(countsOf(lines)['x86_64:1'] ?? 0 >= 5_000_000)
  t.equal(finish.complete, true)
  t.ok((await stat(bundle.output)).size < 1_000_000)
})

t.test("a process that gets the id of one of the container's is none of the container's", async (t) => {
  const bundle = await makeBundle(t, {
    args: ['/bin/busybox', 'sh', '-c', 'for i in 1 2 3 4 5 6 7 8; do /bin/busybox uname; done; echo ready; read x'],
    hook,
  })
  const running = start(bundle)
  await printed(running, 'ready')
  const { pid } = (await readLines(bundle.output))[0] ?? {}
  // The next processes of the host get the ids that follow that of init: its children have had them.
  for (let i = 0; i < 20; i++) {
    await writeFile('/proc/sys/kernel/ns_last_pid', String(pid + i))
    await execa(join(fixtures, 'family'))
  }
  running.stdin.end()
  await running
  const lines = await finishedLines(bundle.output)
  t.notOk(seenOf(lines).includes('x86_64:111'), 'the other processes made getpgrp')
  t.match(lines.at(-1), { complete: true, tasks: 9 })
})

t.test('many at once, each sees its own', async (t) => {
  const outcomes = new Map<string, number>()
  let next = 0
  const lane = async () => {
    while (next++ < 60) {
      const args = next % 2 ? ['/bin/exact'] : ['/bin/mini']
      const { result, lines, finish } = await learn(t, { args })
      const outcome = JSON.stringify([args, result.exitCode, finish.complete, finish.exit, countsOf(lines)])
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
    }
  }
  await Promise.all(Array.from({ length: 12 }, lane))
  const exact = { 'x86_64:1': 1, 'x86_64:39': 3, 'x86_64:102': 2, 'x86_64:231': 1 }
  t.same(Object.fromEntries(outcomes), {
    [JSON.stringify([['/bin/exact'], 6, true, { code: 6 }, exact])]: 30,
    [JSON.stringify([['/bin/mini'], 7, true, { code: 7 }, { 'x86_64:1': 1, 'x86_64:231': 1 }])]: 30,
  })
})

t.test('where it does not work auto takes another way and says why, and ebpf refuses', async (t) => {
  // Without CAP_BPF, CAP_PERFMON and CAP_SYS_ADMIN bpf(2) is not permitted, but ptrace is.
  const attempt = async (backend: string) => {
    const output = join(await temporary(t), 'stream')
    const program = execa('sh', ['-c', 'read x; exec "$1"', 'sh', join(fixtures, 'exact')], { reject: false })
    const drop = 'setpriv --bounding-set -sys_admin,-bpf,-perfmon --inh-caps -all -- "$@"'
    const learn = ['learn', '--backend', backend, '--pid', String(program.pid), '--output', output]
    const result = await execa('sh', ['-c', drop, 'sh', tracer, ...learn], { reject: false })
    program.stdin?.end('\n')
    return { result, output, ended: await program }
  }
  const refused = await attempt('ebpf')
  t.match(refused.result, {
    exitCode: 1,
    stderr: /learn: cannot learn with eBPF: cannot create a BPF map: Operation not permitted/,
  })
  t.equal(refused.ended.exitCode, 6, 'let go')
  const other = await attempt('auto')
  t.equal(other.result.exitCode, 0)
  t.equal(other.ended.exitCode, 6)
  const lines = await finishedLines(other.output)
  t.not(lines[0]?.backend, 'ebpf')
  t.match(eventsOf(lines, 'warn'), [{ code: 'no-ebpf', reason: /Operation not permitted/ }])
  t.match(lines.at(-1), { complete: true })
})

t.test('auto is ebpf where that works', async (t) => {
  const { lines } = await learn(t, { args: ['/bin/exact'], hook: learnHookWith('auto') })
  t.equal(lines[0]?.backend, 'ebpf')
})
