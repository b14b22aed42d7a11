// Files, endpoints and programs: what the record says of a program that does each thing once, in every way of watching.

import { stat } from 'node:fs/promises'
import t from 'tap'
import { TRACER_PATHS } from '../../src/generated/tracer-paths.ts'
import {
  eventsOf,
  finishedLines,
  type Line,
  learnHook,
  learnHookWith,
  makeBundle,
  noProcessOf,
  printed,
  readLines,
  run,
  start,
} from './harness.ts'
import { ADAPTIVE, knownFile, learn, NOT_EBPF, SYSCALL, TRACE } from './ways.ts'

const PATHS = ['--paths', String(TRACER_PATHS.x64)]
const CAPABILITIES = ['CAP_SYS_CHROOT', 'CAP_CHOWN', 'CAP_FOWNER', 'CAP_DAC_OVERRIDE']

/** "/tmp/x read ok": each access for itself, so that it does not matter which lines they stand in. */
const filesOf = (lines: Line[]): string[] =>
  eventsOf(lines, 'file')
    .flatMap(({ access, path, ok }) => access.map((one: string) => `${path} ${one} ${ok ? 'ok' : 'failed'}`))
    .sort()

const endpointsOf = (lines: Line[]): string[] =>
  eventsOf(lines, 'endpoint')
    .map(({ kind, family, ok, path, name, address, port }) =>
      [kind, family, path ?? name ?? address ?? '', port ?? '', String(ok)].join(' '),
    )
    .sort()

const programsOf = (lines: Line[]): string[] =>
  eventsOf(lines, 'execute')
    .map(({ path }) => path)
    .sort()

/** What test/tracer/fixtures/places.c does. */
const FILES = `
  /proc/PID/task/TID/comm read ok
  /proc/self/status read ok
  /tmp/p create ok
  /tmp/p/absent read failed
  /tmp/p/absent remove failed
  /tmp/p/created create ok
  /tmp/p/created remove ok
  /tmp/p/created write ok
  /tmp/p/linked create ok
  /tmp/p/linked remove ok
  /tmp/p/located locate failed
  /tmp/p/made change ok
  /tmp/p/made create ok
  /tmp/p/made locate ok
  /tmp/p/made read ok
  /tmp/p/made write ok
  /tmp/p/none execute failed
  /tmp/p/renamed change ok
  /tmp/p/renamed create ok
  /tmp/p/renamed remove ok
  /tmp/p/script create ok
  /tmp/p/script execute ok
  /tmp/p/script write ok
  /tmp/p/soft create ok
  /tmp/p/soft/it read ok
  /tmp/p/sub create ok
  /tmp/p/sub locate ok
  /tmp/p/sub read ok
  /tmp/p/sub/in/it create failed
  /tmp/p/sub/in/it read failed
  /tmp/p/sub/in/it write failed
  /tmp/p/sub/inside create ok
  /tmp/p/sub/inside write ok
  /tmp/p/sub/it create ok
  /tmp/p/sub/it read ok
  /tmp/p/sub/it remove ok
  /tmp/p/sub/it write ok
  /tmp/p/that change ok
  /tmp/p/that create ok
  /tmp/p/that read ok`
  .trim()
  .split(/\n\s*/)

const endpoints = (port: string, socketcall: boolean): string[] =>
  [
    'bind 16   true',
    'bind abstract   true',
    'bind inet 127.0.0.1 0 true',
    'bind unix /tmp/p/sock  true',
    'connect abstract p-abstract  false',
    'connect inet 127.0.0.1 1 true',
    `connect inet 127.0.0.1 ${port} null`,
    `connect inet 127.0.0.1 ${port} true`,
    'connect unix /tmp/p/nobody  false',
    'connect unix /tmp/p/sock  true',
    ...(socketcall ? [1, 2, 3, 4, 5, 6] : [1, 2, 3, 4]).map((to) => `send inet 127.0.0.1 ${to} true`),
  ].sort()

const ways = async (t: Parameters<typeof knownFile>[0]): Promise<Record<string, string[]>> => ({
  'ptrace-syscall': SYSCALL,
  ebpf: ['--backend', 'ebpf'],
  'ptrace-trace': TRACE,
  'ptrace-adaptive': [...ADAPTIVE, '--allow-no-new-privs'],
  // Calls that name something are watched, whatever the list says; so are sends that have an address.
  'ptrace-known': [
    ...NOT_EBPF,
    '--known',
    await knownFile(t, ['x86_64:0', 'x86_64:1', 'x86_64:257', 'x86_64:44', 'x86:5', 'x86:3']),
  ],
})

for (const program of ['places', 'places32']) {
  t.test(`every way has the same facts: ${program}`, async (t) => {
    for (const [backend, way] of Object.entries(await ways(t))) {
      const options = { args: [`/bin/${program}`], programs: [program], capabilities: CAPABILITIES }
      const { bundle, lines, result, finish } = await learn(t, [...way, ...PATHS], options)
      t.match(result, { exitCode: 0, stdout: /^(\d+|exact)\n(\d+|exact)$/ }, backend)
      t.match(lines[0], { detail: 'paths' })
      t.match(finish, { complete: true, backend, tasks: 3 })
      t.same(filesOf(lines), FILES, `${backend}: files`)
      const port = result.stdout.match(/\d+/)?.[0] ?? ''
      // ::1 may be missing on the host.
      const seen = endpointsOf(lines).filter((endpoint) => !endpoint.startsWith('connect inet6 ::1 7 '))
      t.same(seen, endpoints(port, program === 'places32'), `${backend}: endpoints`)
      t.same(programsOf(lines), ['/bin/exact', `/bin/${program}`], `${backend}: programs`)
      // unlinkat("../created"): only by text.
      t.same(eventsOf(lines, 'paths'), [{ event: 'paths', left: 0, unreadable: 0, long: 0, folded: 1 }])
      await noProcessOf(bundle)
    }
  })
}

t.test('an execve by a thread that is not the first one', async (t) => {
  for (const [backend, way] of Object.entries(await ways(t))) {
    const { lines, finish } = await learn(t, [...way, ...PATHS], {
      args: ['/bin/execthread'],
      programs: ['execthread'],
    })
    t.equal(finish.complete, true, backend)
    t.match(programsOf(lines), [/^\/bin\//, '/bin/execthread'], backend)
    t.match(
      filesOf(lines).filter((fact) => fact.includes('execute')),
      [/^\/bin\/\w+ execute ok$/],
      backend,
    )
  }
})

t.test('a call that is begun again is one fact, and a task that dies within a call none', async (t) => {
  const script = 'busybox mkfifo /tmp/fifo; (read x </tmp/fifo) & busybox usleep 1; busybox kill -9 $!; wait; exit 5'
  for (const [backend, way] of Object.entries(await ways(t))) {
    const { lines, result, finish } = await learn(t, [...way, ...PATHS], { args: ['/bin/busybox', 'sh', '-c', script] })
    t.equal(result.exitCode, 5)
    t.equal(finish.complete, true)
    t.same(
      filesOf(lines).filter((fact) => fact.startsWith('/tmp')),
      ['/tmp/fifo create ok'],
      backend,
    )
  }
})

t.test('however many files there are, the record stays below 1 MiB, and names no file for its directory', async (t) => {
  const bundle = await makeBundle(t, {
    args: ['/bin/places', '40000'],
    programs: ['places'],
    hook: [...learnHook, ...PATHS],
  })
  t.match(await run(bundle), { exitCode: 0 })
  const lines = await readLines(bundle.output)
  t.match(lines.at(-1), { complete: true })
  t.ok((await stat(bundle.output)).size < 1 << 20)
  t.match(eventsOf(lines, 'paths'), [{ left: 0 }])
  const collapsed = eventsOf(lines, 'file').filter(({ covers }) => covers === 'all')
  t.match(collapsed.at(-1), { path: '/absent', access: ['read'], ok: false })
})

t.test('eBPF: what does not fit between the kernel and the tracer is counted', async (t) => {
  const bundle = await makeBundle(t, {
    args: ['/bin/busybox', 'sh', '-c', 'echo ready; read x; /bin/places 200000'],
    programs: ['places'],
    hook: [...learnHookWith('ebpf'), ...PATHS],
  })
  const running = start(bundle)
  await printed(running, 'ready')
  const { tracerPid } = (await readLines(bundle.output))[0] ?? {}
  process.kill(tracerPid, 'SIGSTOP')
  running.stdin.end('\n')
  t.equal((await running).exitCode, 0, 'the container does not wait for the tracer')
  process.kill(tracerPid, 'SIGCONT')
  const lines = await finishedLines(bundle.output)
  const { left } = eventsOf(lines, 'paths')[0] ?? {}
  t.ok(left > 10_000 && left < 200_000, `${left} of 200,000`)
  t.match(lines.at(-1), { complete: true, reason: 'exited' }, 'the calls are')
})
