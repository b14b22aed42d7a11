// Every way of watching sees the same program, does it no harm, and claims no more than it saw.

import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import {
  type BundleOptions,
  countsOf,
  eventsOf,
  type Line,
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
  until,
} from './harness.ts'

const learn = async (t: Teardown, way: string[], options: BundleOptions) => {
  const bundle = await makeBundle(t, { ...options, hook: [...learnHook, ...way] })
  const result = await run(bundle)
  const lines = await readLines(bundle.output)
  return { bundle, result, lines, finish: lines.at(-1) ?? {} }
}

const knownFile = async (t: Teardown, calls: string[]): Promise<string> => {
  const file = join(await temporary(t), 'known')
  await writeFile(file, ['# calls', ...calls.map((call) => call.replace(':', ' '))].map((line) => `${line}\n`).join(''))
  return file
}

/** What the record says of the calls that were not watched: "x86_64:0". */
const knownOf = (lines: Line[]): string[] =>
  eventsOf(lines, 'known').flatMap(({ arch, numbers }) => numbers.map((nr: number) => `${arch}:${nr}`))

const unique = (calls: string[]): string[] => [...new Set(calls)].sort()

const SYSCALL = ['--backend', 'ptrace-syscall']
const TRACE = ['--backend', 'ptrace-trace']
const ADAPTIVE = ['--backend', 'ptrace-adaptive', '--patience', '10']

const PROGRAMS: Record<string, BundleOptions & { racy?: string[] }> = {
  exact: { args: ['/bin/exact'] },
  '32-bit': { args: ['/bin/exact32'], programs: ['exact32'] },
  'int 0x80, x32 and unknown numbers': { args: ['/bin/int80'], programs: ['int80'] },
  dynamic: { args: ['/bin/dynamic'], programs: ['dynamic'] },
  'all ways to make a task': { args: ['/bin/family'], programs: ['family'] },
  'exec from a thread': { args: ['/bin/execthread'], programs: ['execthread'] },
  'fork storm': { args: ['/bin/stress', '20'], programs: ['stress'] },
  'exec storm': {
    args: [
      '/bin/busybox',
      'sh',
      '-c',
      'for i in 1 2 3 4 5 6 7 8 9; do /bin/exact; /bin/busybox uname; /bin/exact32; done; exit 3',
    ],
    programs: ['exact32'],
  },
  'signals and group-stops': {
    args: ['/bin/busybox', 'sh', '-c', '/bin/signals; exit $?'],
    programs: ['signals'],
    racy: ['x86_64:219'], // restart_syscall: where a stop interrupts a sleep
  },
  'SIGSTOP to pid 1': { args: ['/bin/stop1'], programs: ['stop1'] },
  'ptrace in the container': { args: ['/bin/debugger'], programs: ['debugger'] },
  'threads while the way changes': { args: ['/bin/switching'], programs: ['switching'] },
  'a filter of its own': { args: ['/bin/refusing'], programs: ['refusing'] },
  'a filter that asks for a tracer': { args: ['/bin/refusing', 'trace'], programs: ['refusing'] },
}

/** futex: only if a thread has not ended yet when it is joined. */
const RACY = ['x86_64:202']

for (const [name, { racy = [], ...options }] of Object.entries(PROGRAMS)) {
  t.test(`the same set by every way: ${name}`, async (t) => {
    const set = (calls: string[]) => unique(calls).filter((call) => ![...RACY, ...racy].includes(call))
    const plain = await learn(t, SYSCALL, options)
    const expected = set(seenOf(plain.lines))
    t.match(plain.finish, { complete: true, backend: 'ptrace-syscall', counts: 'exact', otherFilters: false })
    t.ok(expected.length >= 3)

    const some = expected.filter((call, index) => index % 2 === 0 && !call.includes('-'))
    const all = [...expected, ...RACY].filter((call) => !call.includes('-')) // no list holds such numbers
    const ways: Record<string, { way: string[]; more?: BundleOptions; backend: string; known?: string[] }> = {
      trace: { way: TRACE, backend: 'ptrace-trace' },
      'adaptive, no_new_privs': {
        way: ADAPTIVE,
        more: { ...options, noNewPrivileges: true },
        backend: 'ptrace-adaptive',
      },
      'adaptive, not allowed': { way: ADAPTIVE, backend: 'ptrace-syscall' },
      'nothing known': {
        way: ['--backend', 'ptrace-known', '--known', await knownFile(t, [])],
        backend: 'ptrace-known',
      },
      'half known': {
        way: ['--backend', 'ptrace-known', '--known', await knownFile(t, some)],
        backend: 'ptrace-known',
        known: some,
      },
      'all known': { way: ['--known', await knownFile(t, all)], backend: 'ptrace-known', known: all },
    }
    for (const [how, { way, more = options, backend, known = [] }] of Object.entries(ways)) {
      const { bundle, result, lines, finish } = await learn(t, way, more)
      t.same([result.exitCode, result.stdout], [plain.result.exitCode, plain.result.stdout], `${how}: behaviour`)
      t.same(set([...seenOf(lines), ...known]), expected, `${how}: set`)
      t.match(finish, { complete: true, otherFilters: false, tasks: plain.finish.tasks, exit: plain.finish.exit }, how)
      if (how === 'adaptive, no_new_privs')
        t.match(finish.backend, /^ptrace-(adaptive|syscall)$/) // by the number of calls
      else t.equal(finish.backend, backend, how)
      const recordable = known.filter((call) => /:\d{1,3}$/.test(call)) // larger numbers are always watched
      t.same(unique(knownOf(lines)), unique(recordable), `${how}: names what it did not watch`)
      await noProcessOf(bundle)
    }
  })
}
