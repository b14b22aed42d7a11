// What learn records is what happens: against programs with a known set, and against strace.

import { createHash } from 'node:crypto'
import { chmod, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { execa } from 'execa'
import t from 'tap'
import {
  type BundleOptions,
  countsOf,
  eventsOf,
  fixtures,
  learnHook,
  makeBundle,
  noProcessOf,
  printed,
  readLines,
  run,
  seenOf,
  start,
  type Teardown,
  temporary,
} from './harness.ts'

const learn = async (t: Teardown, options: BundleOptions) => {
  const bundle = await makeBundle(t, { hook: learnHook, ...options })
  const result = await run(bundle)
  // read at once: the last line must be there when the runtime returns
  const lines = await readLines(bundle.output)
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
  t.match(lines[0], { event: 'hello', protocol: 1, runId: null, machine: 'x86_64', started: /^\d{4}-.*\.\d{3}Z$/ })
  t.equal(lines[0]?.bootId, (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim())
  t.match(lines[1], { event: 'attached', threads: Number })
  t.match(lines[2], { event: 'exec', exe: '/bin/exact' })
  t.same(eventsOf(lines, 'program'), [{ event: 'program', exe: '/bin/exact', sha256: digest }])
  t.match(finish, {
    event: 'finish',
    exit: { code: 6 },
    complete: true,
    reason: 'exited',
    calls: 7,
    distinct: 4,
    tasks: 1,
    lost: { tasks: 0, writes: 0, calls: 0 },
  })
  t.ok(Date.parse(finish.ended) >= Date.parse(lines[0]?.started))
  t.equal((await stat(bundle.output)).mode & 0o7777, 0o600)
  await noProcessOf(bundle)
  t.equal((await stat(bundle.output)).blocks <= 8, true, 'unused reserved blocks are given back')
})

t.test('32-bit, int 0x80 and x32 calls are told apart', async (t) => {
  const narrow = await learn(t, { args: ['/bin/exact32'], programs: ['exact32'] })
  t.equal(narrow.result.stdout, 'exact32')
  t.equal(narrow.result.exitCode, 8)
  t.same(countsOf(narrow.lines), { 'x86:4': 1, 'x86:20': 2, 'x86:252': 1 })
  t.equal(narrow.finish.complete, true)
  const mixed = await learn(t, { args: ['/bin/int80'], programs: ['int80'] })
  t.same(countsOf(mixed.lines), { 'x86:20': 1, 'x86_64:99999': 1, 'x86_64:-1': 1, 'x32:39': 1, 'x86_64:231': 1 })
})

/** The set that strace records for the same command on the host, its own execve left out. */
const straceSet = async (t: Teardown, command: string[]): Promise<string[]> => {
  const file = join(await temporary(t), 'strace')
  const environment = { env: { PATH: '/bin' }, extendEnv: false }
  await execa('strace', ['-f', '-n', '-o', file, ...command], { reject: false, ...environment })
  const numbers = new Set<string>()
  const calls = [...(await readFile(file, 'utf8')).matchAll(/^\d+ +\[ *(\d+)\] (?!<\.\.\.)/gm)]
  for (const call of calls.slice(1)) numbers.add(`x86_64:${call[1]}`)
  return [...numbers].sort()
}

t.test('the set equals the one that strace sees', async (t) => {
  const cases: Record<string, { args: string[]; host: string[]; programs?: string[]; code: number }> = {
    static: { args: ['/bin/busybox', 'uname'], host: [join(fixtures, 'busybox'), 'uname'], code: 0 },
    dynamic: { args: ['/bin/dynamic'], host: [join(fixtures, 'dynamic')], programs: ['dynamic'], code: 4 },
    family: { args: ['/bin/family'], host: [join(fixtures, 'family')], programs: ['family'], code: 0 },
  }
  for (const [name, { args, host, programs, code }] of Object.entries(cases)) {
    const { result, lines, finish } = await learn(t, { args, ...(programs ? { programs } : {}) })
    t.equal(result.exitCode, code, `${name}: exit code`)
    const expected = await straceSet(t, host)
    t.ok(expected.length > 5, `${name}: strace saw something`)
    const racy = ['x86_64:202'] // futex: only if a thread has not ended yet when it is joined
    t.same(
      seenOf(lines).filter((c) => !racy.includes(c)),
      expected.filter((c) => !racy.includes(c)),
      `${name}: set`,
    )
    t.equal(finish.complete, true, `${name}: complete`)
  }
})

t.test('a script: the interpreter is the program, the script its argument', async (t) => {
  const bundle = await makeBundle(t, { args: ['/bin/script'], hook: learnHook })
  await writeFile(join(bundle.rootfs, 'bin/script'), '#!/bin/exact\n')
  await chmod(join(bundle.rootfs, 'bin/script'), 0o755)
  const result = await run(bundle)
  const lines = await readLines(bundle.output)
  t.equal(result.exitCode, 6)
  t.same(eventsOf(lines, 'exec'), [{ event: 'exec', exe: '/bin/exact' }])
  t.same(countsOf(lines), { 'x86_64:1': 1, 'x86_64:39': 3, 'x86_64:102': 2, 'x86_64:231': 1 })
})

t.test('a program name that needs escapes', async (t) => {
  const name = 'a "b"\\\n\u00e9\x01'
  const bundle = await makeBundle(t, { args: [`/bin/${name}`], hook: learnHook })
  await execa('cp', [join(fixtures, 'exact'), join(bundle.rootfs, 'bin', name)])
  t.equal((await run(bundle)).exitCode, 6)
  t.same(eventsOf(await readLines(bundle.output), 'exec'), [{ event: 'exec', exe: `/bin/${name}` }])
})

t.test('fork, vfork, clone, clone3 and threads are followed', async (t) => {
  const { result, lines, finish } = await learn(t, { args: ['/bin/family'], programs: ['family'] })
  t.equal(result.exitCode, 0)
  const counts = countsOf(lines)
  const markers = { fork: 102, vfork: 107, clone: 104, clone3: 108, thread: 111 }
  for (const [how, nr] of Object.entries(markers)) t.equal(counts[`x86_64:${nr}`], 1, how)
  t.equal(finish.tasks, 6)
  t.equal(finish.complete, true)
  t.same(eventsOf(lines, 'warn'), [])
})

t.test('exec from a thread that is not the leader', async (t) => {
  const { result, lines, finish } = await learn(t, { args: ['/bin/execthread'], programs: ['execthread'] })
  t.equal(result.exitCode, 6)
  t.equal(result.stdout, 'exact')
  const counts = countsOf(lines)
  t.equal(counts['x86_64:59'], 1)
  t.equal(counts['x86_64:39'], 3, 'the new program is recorded')
  t.match(finish, { complete: true, exit: { code: 6 }, tasks: 7 })
})

t.test('signals, stops and ends look as they do untraced', async (t) => {
  const plain = await run(
    await makeBundle(t, { args: ['/bin/busybox', 'sh', '-c', '/bin/signals; exit $?'], programs: ['signals'] }),
  )
  t.equal(plain.exitCode, 0)
  const { result, finish } = await learn(t, {
    args: ['/bin/busybox', 'sh', '-c', '/bin/signals; exit $?'],
    programs: ['signals'],
  })
  t.equal(result.exitCode, 0)
  t.equal(finish.complete, true)
})

t.test('a SIGSTOP to pid 1 from inside is ignored, as it is untraced', async (t) => {
  const plain = await run(await makeBundle(t, { args: ['/bin/stop1'], programs: ['stop1'] }))
  t.equal(plain.exitCode, 5)
  const { result, finish } = await learn(t, { args: ['/bin/stop1'], programs: ['stop1'] })
  t.equal(result.exitCode, 5)
  t.match(finish, { complete: true, exit: { code: 5 } })
})

t.test('hundreds of short-lived threads and processes', async (t) => {
  const { result, lines, finish } = await learn(t, { args: ['/bin/stress', '50'], programs: ['stress'] })
  t.equal(result.exitCode, 11)
  const counts = countsOf(lines)
  t.equal(counts['x86_64:111'], 400, 'threads')
  t.equal(counts['x86_64:102'], 400, 'processes')
  t.match(finish, { complete: true, tasks: 801 })
})

t.test('busy threads do not starve the oldest', async (t) => {
  const { result, lines, finish } = await learn(t, { args: ['/bin/crowd'], programs: ['crowd'] })
  t.equal(result.exitCode, 12)
  t.equal(countsOf(lines)['x86_64:111'], 2000)
  t.match(finish, { complete: true, tasks: 65 })
})

t.test('CLONE_UNTRACED is flagged', async (t) => {
  for (const how of ['clone', 'clone3']) {
    const { result, lines, finish } = await learn(t, { args: ['/bin/untraced', how], programs: ['untraced'] })
    t.equal(result.exitCode, 0, how)
    t.match(eventsOf(lines, 'warn'), [{ code: 'untraced-clone' }])
    t.equal(countsOf(lines)['x86_64:102'], undefined, 'the child was not seen')
    t.match(finish, { complete: false, reason: 'exited', lost: { tasks: 1 } })
  }
  const failed = await learn(t, { args: ['/bin/untraced', 'fail'], programs: ['untraced'] })
  t.equal(failed.result.exitCode, 0)
  t.match(failed.finish, { complete: true, lost: { tasks: 0 } })
  const plain = await learn(t, { args: ['/bin/untraced', 'fork'], programs: ['untraced'] })
  t.match(plain.finish, { complete: true, lost: { tasks: 0 } })
  t.equal(countsOf(plain.lines)['x86_64:102'], 1)
})

t.test("the runtime's hooks are not recorded", async (t) => {
  const { result, lines } = await learn(t, {
    args: ['/bin/exact'],
    startContainer: [{ path: '/bin/busybox', args: ['busybox', 'uname'] }],
  })
  t.equal(result.exitCode, 6)
  t.same(countsOf(lines), { 'x86_64:1': 1, 'x86_64:39': 3, 'x86_64:102': 2, 'x86_64:231': 1 })
})

t.test('a command that is not found', async (t) => {
  const { bundle, result } = await learn(t, { args: ['/bin/missing'] })
  t.not(result.exitCode, 0)
  t.match(result.stderr, /\/bin\/missing.*no such file or directory/)
  await noProcessOf(bundle)
  const finish = (await readLines(bundle.output)).at(-1)
  t.match(finish, { event: 'finish', complete: false, reason: 'no-exec', calls: 0 })
})

t.test('an end by a signal', async (t) => {
  const { result, finish } = await learn(t, { args: ['/bin/busybox', 'sh', '-c', 'kill -9 $$; exit 4'] })
  t.equal(result.exitCode, 4, 'SIGKILL from inside is ignored by pid 1')
  t.match(finish, { complete: true, exit: { code: 4 } })

  const bundle = await makeBundle(t, { args: ['/bin/spin'], programs: ['spin'], hook: learnHook })
  const running = start(bundle)
  await printed(running, 'ready')
  process.kill((await readLines(bundle.output))[0]?.pid, 'SIGKILL')
  t.equal((await running).exitCode, 128 + 9)
  t.match((await readLines(bundle.output)).at(-1), { event: 'finish', complete: true, exit: { signal: 9 } })
})
