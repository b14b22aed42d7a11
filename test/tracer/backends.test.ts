// Every way of watching sees the same program.

import t from 'tap'
import { type Bundle, type BundleOptions, noProcessOf, seenOf } from './harness.ts'
import { ADAPTIVE, knownFile, knownOf, learn, NOT_EBPF, RACY, SYSCALL, TRACE, unique, withFilters } from './ways.ts'

const PROGRAMS: Record<string, BundleOptions & { racy?: string[] }> = {
  exact: { args: ['/bin/exact'] },
  '32-bit': { args: ['/bin/exact32'], programs: ['exact32'] },
  'int 0x80, x32 and unknown numbers': { args: ['/bin/int80'], programs: ['int80'] },
  dynamic: { args: ['/bin/dynamic'], programs: ['dynamic'] },
  'all ways to make a task': { args: ['/bin/family'], programs: ['family'] },
  'exec from a thread': { args: ['/bin/execthread'], programs: ['execthread'], racy: ['x86_64:34'] },
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
  'thousands of groups': { args: ['/bin/groups'], programs: ['groups'] },
  'ptrace in the container': { args: ['/bin/debugger'], programs: ['debugger'] },
  'threads while the way changes': { args: ['/bin/switching'], programs: ['switching'] },
  'a filter of its own': { args: ['/bin/refusing'], programs: ['refusing'] },
  'a filter that asks for a tracer': { args: ['/bin/refusing', 'trace'], programs: ['refusing'] },
}

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
      'all known': { way: [...NOT_EBPF, '--known', await knownFile(t, all)], backend: 'ptrace-known', known: all },
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

t.test('many at once, in every way', async (t) => {
  const ways = [SYSCALL, ...Object.values(await withFilters(t))]
  const outcomes = new Set<string>()
  const bundles: Bundle[] = []
  let next = 0
  const worker = async () => {
    for (let i = next++; i < 80; i = next++) {
      const options = { args: ['/bin/switching'], programs: ['switching'], noNewPrivileges: true }
      const { bundle, result, lines, finish } = await learn(t, ways[i % ways.length] as string[], options)
      bundles.push(bundle)
      const set = unique([...seenOf(lines), ...knownOf(lines)]).filter((call) => !RACY.includes(call))
      outcomes.add(JSON.stringify({ code: result.exitCode, complete: finish.complete, tasks: finish.tasks, set }))
    }
  }
  await Promise.all(Array.from({ length: 4 }, worker))
  t.equal(outcomes.size, 1, [...outcomes].join('\n'))
  t.match([...outcomes][0], /^\{"code":14,"complete":true,"tasks":47,/)
  for (const bundle of bundles) await noProcessOf(bundle)
})
