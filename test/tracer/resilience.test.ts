// Learning never harms the container and never lies: a killed or stopped tracer, full disks, the host's pid namespace.

import { copyFile, mkdir, open, readFile, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { execa } from 'execa'
import t from 'tap'
import {
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
  statusField,
  type Teardown,
  temporary,
  tracer,
  until,
} from './harness.ts'

const GETPPID = 'x86_64:110'
const GETPGRP = 'x86_64:111'

t.test('kill -9 of the tracer in the middle of the work', async (t) => {
  for (let i = 0; i < 20; i++) {
    const bundle = await makeBundle(t, { args: ['/bin/spin'], programs: ['spin'], hook: learnHook })
    const running = start(bundle)
    await printed(running, 'ready')
    const hello = (await readLines(bundle.output))[0] ?? {}
    await until('the thread is seen', async () => seenOf(await readLines(bundle.output)).includes(GETPPID))
    process.kill(hello.tracerPid, 'SIGKILL')
    await until('the tracer is gone', async () => (await statusField(hello.pid, 'TracerPid')) === '0')
    const before = await readFile(bundle.output, 'utf8')
    running.stdin.end()
    t.equal((await running).exitCode, 9, 'unharmed, with no signal lost')
    t.equal(await readFile(bundle.output, 'utf8'), before)
    const lines = await readLines(bundle.output)
    t.same([...eventsOf(lines, 'finish'), ...eventsOf(lines, 'count')], [])
    t.notOk(seenOf(lines).includes(GETPGRP))
    t.ok(seenOf(lines).includes(GETPPID) && seenOf(lines).includes('x86_64:1'), 'all that was seen is there')
  }
})

t.test('SIGTERM to the tracer', async (t) => {
  for (let i = 0; i < 20; i++) {
    const bundle = await makeBundle(t, { args: ['/bin/spin'], programs: ['spin'], hook: learnHook })
    const running = start(bundle)
    await printed(running, 'ready')
    const hello = (await readLines(bundle.output))[0] ?? {}
    process.kill(hello.tracerPid, 'SIGTERM')
    const finish = await until('the last line', async () => eventsOf(await readLines(bundle.output), 'finish')[0])
    t.match(finish, { complete: false, reason: 'terminated', exit: null })
    await until('the tracer is gone', async () => (await statusField(hello.pid, 'TracerPid')) === '0')
    running.stdin.end()
    t.equal((await running).exitCode, 9)
    await noProcessOf(bundle)
  }
})

t.test('SIGTERM while the container sleeps, and calls that the kernel restarts', async (t) => {
  const bundle = await makeBundle(t, { args: ['/bin/sleeper'], programs: ['sleeper'], hook: learnHook })
  const running = start(bundle)
  await printed(running, 'ready')
  const hello = (await readLines(bundle.output))[0] ?? {}
  process.kill(hello.tracerPid, 'SIGTERM')
  running.stdin.end()
  t.equal((await running).exitCode, 10)
})

t.test("the host's pid namespace: tasks that outlive init are recorded", async (t) => {
  // runc kills what is left in the cgroup: which of the two ends is reported first is the kernel's choice
  const bundle = await makeBundle(t, { args: ['/bin/orphan'], programs: ['orphan'], hook: learnHook, hostPid: true })
  t.equal((await run(bundle)).exitCode, 5)
  const killed = await until('the last line', async () => eventsOf(await readLines(bundle.output), 'finish')[0])
  t.match(killed, { complete: true, reason: 'exited', exit: { code: 5 }, tasks: 2 })
  await noProcessOf(bundle)

  // without a runtime nobody kills it
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
  await execa(tracer, ['learn', '--pid', String(program.pid), '--output', output])
  await pipe.write('\n')
  const lines = await until('init has ended', async () => {
    const all = await readLines(output)
    return eventsOf(all, 'init-exit').length > 0 && all
  })
  t.match(eventsOf(lines, 'init-exit'), [{ exit: { code: 5 }, tasks: 1 }])
  t.same(eventsOf(lines, 'finish'), [])
  await pipe.close()
  const finish = await until('the last line', async () => eventsOf(await readLines(output), 'finish')[0])
  t.match(finish, { complete: true, reason: 'exited', exit: { code: 5 }, tasks: 2 })
  t.equal(countsOf(await readLines(output))[GETPGRP], 1, 'what the orphan did after the end of init')
  t.equal((await program).exitCode, 5)
})

t.test('a disk that is full at the start fails the hook', async (t) => {
  const disk = await temporary(t)
  await execa('mount', ['-t', 'tmpfs', '-o', 'size=16k', 'tmpfs', disk])
  t.teardown(() => execa('umount', ['-l', disk]))
  const output = join(disk, 'stream')
  const bundle = await makeBundle(t, { args: ['/bin/exact'], hook: ['learn', '--pid', 'PID', '--output', output] })
  const result = await run(bundle)
  t.equal(result.exitCode, 1)
  t.match(result.stderr, /learn: cannot reserve 65536 bytes for .*stream: No space left on device/)
  await t.rejects(readFile(output), { code: 'ENOENT' }, 'nothing is left behind')
})

/** A container that writes more than a page of lines, the last of them after a newline on its standard input. */
const talkative = async (t: Teardown) => {
  const disk = await temporary(t)
  await execa('mount', ['-t', 'tmpfs', '-o', 'size=16k', 'tmpfs', disk])
  t.teardown(() => execa('umount', ['-l', disk]))
  const output = join(disk, 'stream')
  const name = `${`${'x'.repeat(200)}/`.repeat(3)}busybox`
  const commands = [
    'uname',
    'id',
    'df',
    'stat /',
    'mkdir /tmp/a',
    'mv /tmp/a /tmp/d',
    'ln -s a /tmp/c',
    'ls -l /tmp',
    'sync',
    'touch /tmp/e',
    'chmod 700 /tmp/e',
    'rm /tmp/e',
    'nice uname',
    'sleep 0',
    'ps',
    'dd if=/bin/mini of=/tmp/f',
    'kill -0 1',
  ]
  const script = `echo ready; read x; ${commands.map((c) => `/bin/${name} ${c};`).join(' ')} echo full; read y; exit 9`
  const bundle = await makeBundle(t, {
    args: [`/bin/${name}`, 'sh', '-c', script],
    // The one that writes each first sight at once.
    hook: [
      ...['learn', '--pid', 'PID', '--output', output, '--backend', 'ptrace-syscall'],
      ...['--preallocate', '0', '--run-id', 'i'.repeat(1024)],
    ],
  })
  await mkdir(join(bundle.rootfs, 'bin', dirname(name)), { recursive: true })
  await copyFile(join(fixtures, 'busybox'), join(bundle.rootfs, 'bin', name))
  const running = start(bundle)
  await printed(running, 'ready')
  await until('the digest', async () => eventsOf(await readLines(output), 'program').length === 1)
  const filler = join(disk, 'filler')
  await writeFile(filler, Buffer.alloc(16384)).catch(() => undefined) // takes all the pages but the stream's first
  running.stdin.write('\n')
  await printed(running, 'full')
  return { running, output, filler, partial: await readLines(output) }
}

t.test('a disk that fills up while learning', async (t) => {
  const { running, output, partial } = await talkative(t)
  running.stdin.end('\n')
  t.equal((await running).exitCode, 9, 'the container does not notice')
  const after = await readLines(output)
  t.same(after.slice(0, partial.length), partial, 'what was there stays; every line is whole')
  t.same(eventsOf(after, 'finish'), [], 'there is no room for a last line, so there is none')
})

t.test('lines that failed are retried at the end', async (t) => {
  const { running, output, filler, partial } = await talkative(t)
  await writeFile(filler, '') // room again
  running.stdin.end('\n')
  t.equal((await running).exitCode, 9)
  const lines = await readLines(output)
  t.same(seenOf(lines), Object.keys(countsOf(lines)).sort(), 'everything counted is there as seen')
  t.ok(seenOf(lines).length > seenOf(partial).length + 3, 'something had been lost before')
  t.match(lines.at(-1), { event: 'finish', complete: false, reason: 'exited' })
  t.ok(lines.at(-1)?.lost.writes > 3)
})

t.test('the output file', async (t) => {
  const directory = await temporary(t)
  const attempt = (...args: string[]) =>
    execa(tracer, ['learn', '--pid', String(process.pid), ...args], { reject: false })
  const victim = execa('sleep', ['100'], { reject: false })
  t.teardown(() => victim.kill('SIGKILL'))
  const pid = String(victim.pid)
  const file = join(directory, 'file')
  await writeFile(file, 'mine')
  t.match(await execa(tracer, ['learn', '--pid', pid, '--output', file], { reject: false }), {
    exitCode: 1,
    stderr: /^oci-sandbox-tracer: learn: cannot create .*: File exists \(each run writes a file of its own\)$/,
  })
  t.equal(await readFile(file, 'utf8'), 'mine')
  await symlink(join(directory, 'target'), join(directory, 'link'))
  t.match(await execa(tracer, ['learn', '--pid', pid, '--output', join(directory, 'link')], { reject: false }), {
    exitCode: 1,
    stderr: /File exists/,
  })
  await mkdir(join(directory, 'sub'))
  t.match(await execa(tracer, ['learn', '--pid', pid, '--output', join(directory, 'none/x')], { reject: false }), {
    exitCode: 1,
    stderr: /No such file/,
  })
  t.equal(await statusField(Number(pid), 'TracerPid'), '0', 'let go after each failure')
  t.match(await attempt(), { exitCode: 2, stderr: /--output is missing/ })
})

t.test('a process that is traced already, or gone', async (t) => {
  const directory = await temporary(t)
  const bundle = await makeBundle(t, { args: ['/bin/busybox', 'sh', '-c', 'echo ready; read x'], hook: learnHook })
  const running = start(bundle)
  await printed(running, 'ready')
  const hello = (await readLines(bundle.output))[0] ?? {}
  const again = await execa(tracer, ['learn', '--pid', String(hello.pid), '--output', join(directory, 'o')], {
    reject: false,
  })
  t.equal(again.exitCode, 1)
  t.match(again.stderr, `is traced by pid ${hello.tracerPid} already`)
  t.match(
    await execa('flock', ['-n', bundle.output, 'true'], { reject: false }),
    { exitCode: 1 },
    'the stream is locked',
  )
  running.stdin.end()
  await running
  await noProcessOf(bundle)
  t.match(await execa('flock', ['-n', bundle.output, 'true'], { reject: false }), { exitCode: 0 })
  const gone = await execa(tracer, ['learn', '--pid', String(hello.pid), '--output', join(directory, 'o')], {
    reject: false,
  })
  t.match(gone, { exitCode: 1, stderr: /cannot attach to pid \d+: No such process \(the process is gone/ })
  await t.rejects(readFile(join(directory, 'o')), { code: 'ENOENT' })
})
