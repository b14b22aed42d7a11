// Every call as an event: what stands in it, and that the files stay within their bounds.

import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { TRACER_PATHS } from '../../src/generated/tracer-paths.ts'
import { TRACER_SIGNATURES } from '../../src/generated/tracer-signatures.ts'
import {
  type BundleOptions,
  countsOf,
  eventsOf,
  type Line,
  learnHookWith,
  makeBundle,
  readLines,
  run,
} from './harness.ts'

type Test = Parameters<typeof makeBundle>[0]

const record = async (t: Test, options: BundleOptions, more: string[] = []) => {
  const bundle = await makeBundle(t, options)
  const signatures = join(bundle.directory, 'signatures')
  await writeFile(signatures, TRACER_SIGNATURES[process.arch] ?? '')
  const way = [
    '--paths',
    TRACER_PATHS[process.arch] ?? '',
    '--events',
    join(bundle.directory, 'ev'),
    '--signatures',
    signatures,
    ...more,
  ]
  const learned = await makeBundle(t, { ...options, hook: [...learnHookWith('auto'), ...way, '--container', 'c"1'] })
  const result = await run(learned)
  const files = (await readdir(bundle.directory))
    .filter((file) => /^ev\.\d+\.ndjson$/.test(file))
    .sort((a, b) => Number(a.split('.')[1]) - Number(b.split('.')[1]))
    .map((file) => join(bundle.directory, file))
  const events: Line[] = []
  for (const file of files) events.push(...(await readLines(file)))
  return { result, lines: await readLines(learned.output), files, events, signatures }
}

const value = (event: Line | undefined, name: string) =>
  event?.args.find((argument: { name: string }) => argument.name === name)?.value

t.test('each call is an event, with its result, in the order of time', async (t) => {
  const { result, lines, events } = await record(t, { args: ['/bin/exact'] })
  t.equal(result.exitCode, 6)
  t.match(lines[0], { detail: 'events', backend: 'ptrace-syscall' })
  t.match(eventsOf(lines, 'events'), [{ written: events.length, dropped: 0, failed: 0 }])
  t.equal(events.length, lines.at(-1)?.calls)
  t.same(
    events.map(({ eventName, returnValue }) => [eventName, returnValue]),
    [
      ['write', 6],
      ...[1, 2, 3].map(() => ['getpid', 1]), // in the container's view
      ['getuid', 0],
      ['getuid', 0],
      ['exit_group', 0],
    ],
  )
  t.match(events[0], {
    ...{
      processId: 1,
      cgroupId: Number,
      threadId: 1,
      parentProcessId: 0,
      userId: 0,
      processName: 'exact',
      containerId: 'c"1',
    },
    ...{ executable: { path: '/bin/exact' }, eventId: '1', argsNum: 3, syscall: 'write', processorId: -1 },
    args: [
      { name: 'fd', type: 'unsigned int', value: 1 },
      { name: 'buf', type: 'void*' },
      { name: 'count', type: 'unsigned long', value: 6 },
    ],
    contextFlags: { containerStarted: true, isCompat: false },
  })
  t.ok(events[0]?.hostProcessId > 1)
  const times = events.map(({ timestamp }) => timestamp)
  t.same(
    times,
    [...times].sort((a, b) => a - b),
  )
  t.ok(Math.abs(Date.now() - times[0] / 1e6) < 60_000)
  t.ok(times[0] >= events[0]?.threadStartTime)
})

t.test('paths, addresses, failures, and who a process is after an execve', async (t) => {
  const { lines, events } = await record(t, {
    args: ['/bin/places'],
    programs: ['places'],
    capabilities: ['CAP_SYS_CHROOT', 'CAP_CHOWN', 'CAP_FOWNER', 'CAP_DAC_OVERRIDE'],
  })
  t.match(lines.at(-1), { exit: { code: 0 } })
  const named = (name: string) => events.filter(({ eventName }) => eventName === name)
  t.match(
    named('openat').find((event) => value(event, 'filename') === 'absent'),
    { returnValue: -2 },
  )
  // What cannot be read has no value: EFAULT, ENAMETOOLONG.
  const unread = named('openat').filter((event) => value(event, 'filename') === null)
  t.same(
    unread.map(({ returnValue }) => returnValue),
    [-36, -14, -14],
  )
  t.match(
    value(
      named('connect').find(({ returnValue }) => returnValue === -115),
      'uservaddr',
    ),
    {
      sa_family: 'AF_INET',
      sin_addr: '127.0.0.1',
      sin_port: /^\d+$/,
    },
  )
  t.match(value(named('bind').at(0), 'umyaddr'), { sa_family: 'AF_INET', sin_port: '0' })
  const executed = named('execve').filter(({ returnValue }) => returnValue === 0)
  t.match(executed, [{ processName: 'script', executable: { path: '/bin/exact' } }])
  t.equal(value(executed[0], 'filename'), 'script')
  t.equal(named('getpid').filter(({ processId }) => processId === executed[0]?.processId).length, 3)
  const counts = countsOf(lines)
  for (const [name, number] of Object.entries({ openat: 257, mkdir: 83, write: 1 }))
    t.equal(named(name).length, counts[`x86_64:${number}`], name)
})

t.test('32-bit calls have their names', async (t) => {
  const { events } = await record(t, { args: ['/bin/exact32'], programs: ['exact32'] })
  t.ok(events.length > 3)
  t.ok(events.every(({ contextFlags, abi }) => contextFlags.isCompat === true && abi === 'x86'))
  t.ok(events.some(({ eventName, eventId }) => eventName === 'write' && eventId === '1'))
})

t.test('however many calls there are, 16 files are kept, and what was dropped is said', async (t) => {
  const size = 65_536
  const args = ['/bin/busybox', 'dd', 'if=/dev/zero', 'of=/dev/null', 'bs=1', 'count=2000']
  const { lines, files, events } = await record(t, { args }, ['--events-size', String(size)])
  t.equal(files.length, 16)
  for (const file of files) t.ok((await stat(file)).size <= size)
  const [counts] = eventsOf(lines, 'events')
  t.match(counts, { written: lines.at(-1)?.calls, failed: 0 })
  t.ok(counts?.dropped > 1000)
  t.equal(events.length, counts?.written - counts?.dropped)
  t.equal(events.at(-1)?.eventName, 'exit_group')
  t.match(lines.at(-1), { complete: true }, 'the set of calls is whole all the same')
  t.notOk((await readFile(files[0] as string, 'utf8')).includes('\0'))
})
