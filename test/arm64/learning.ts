/** Learning on arm64. */
import type { Test } from 'tap'
import { TRACER_ARGUMENTS } from '../../src/generated/tracer-arguments.ts'
import { TRACER_PATHS } from '../../src/generated/tracer-paths.ts'
import type { Boot, Step } from './machine.ts'
import { callsOf, countsOf, eventsOf, KNOWN, linesOf, type Programs, stepOf, WAYS, withoutRacy } from './programs.ts'

const learn = (way: string, options: string, program: string): string[] =>
  `/bin/runtime ${options} /bin/${program} -- /bin/tracer learn --pid PID --output /tmp/output ${way}`.split(' ')

/** Learns every program in every way, in one start of the machine. Returns what was printed. */
export async function testLearning(t: Test, programs: Programs, boot: Boot): Promise<Record<string, Step>> {
  const commands: Record<string, string[]> = { probe: ['/bin/tracer', 'probe'] }
  for (const [name, { words = name }] of Object.entries(programs)) {
    for (const [way, { options }] of Object.entries(WAYS)) commands[`${name} ${way}`] = learn(options, 'n', words)
  }
  for (const options of ['-', 's', 'v', 'sv'])
    commands[`waiting ${options}`] = learn(WAYS.trace.options, options, 'exact')
  for (const way of ['syscall', 'ebpf'] as const)
    commands[`untraced ${way}`] = learn(WAYS[way].options, '-', 'untraced')
  for (const way of ['syscall', 'trace'] as const) commands[`killed ${way}`] = learn(WAYS[way].options, 'K', 'spin')
  for (const way of ['syscall', 'ebpf'] as const) {
    const wanted = `--arguments ${TRACER_ARGUMENTS.arm64},aarch64:64:5,arm:4:5`
    for (const program of ['exact', 'arm'])
      commands[`arguments ${program} ${way}`] = learn(`${WAYS[way].options} ${wanted}`, '-', program)
  }
  for (const way of ['syscall', 'trace', 'ebpf'] as const)
    commands[`paths ${way}`] = learn(`${WAYS[way].options} --paths ${TRACER_PATHS.arm64}`, '-', 'opens')
  commands.calibrate = '/bin/runtime fS /bin/exact -- /bin/tracer calibrate --state --output /tmp/output'.split(' ')
  const steps = await boot({}, commands)
  const step = (name: string): Step => stepOf(steps, name)

  t.test('what the kernel allows', async (t) => {
    const probe = JSON.parse(step('probe').text)
    t.match(probe, {
      machine: 'aarch64',
      earlyInstall: true,
      suspendSeccomp: true,
      getFilter: true,
      syscallInfo: true,
      ebpf: true,
    })
    t.same(probe.learnBackends, ['ptrace-syscall', 'ptrace-trace', 'ptrace-adaptive', 'ptrace-known'])
  })

  t.test('exact counts', async (t) => {
    const exact = { 'aarch64 64': 1, 'aarch64 94': 1, 'aarch64 172': 3, 'aarch64 174': 2 }
    const arm = { 'arm 4': 1, 'arm 20': 20, 'arm 248': 1 }
    for (const way of ['syscall', 'trace', 'ebpf']) {
      t.same(countsOf(linesOf(step(`exact ${way}`))), exact, way)
      t.same(countsOf(linesOf(step(`arm ${way}`))), arm, `${way}: 32-bit`)
      t.same(countsOf(linesOf(step(`thumb ${way}`))), arm, `${way}: Thumb`)
    }
  })

  for (const [name, { end }] of Object.entries(programs)) {
    t.test(`the same set by every way: ${name}`, async (t) => {
      const expected = withoutRacy(callsOf(linesOf(step(`${name} syscall`))))
      t.ok(expected.length >= 3)
      for (const [way, { backend }] of Object.entries(WAYS)) {
        const found = step(`${name} ${way}`)
        const lines = linesOf(found)
        const known = way === 'known' ? KNOWN.filter((call) => expected.includes(call)) : []
        t.ok(found.text.includes(`${end}\n`), `${way}: ${end}`)
        t.same(withoutRacy([...callsOf(lines), ...known]), expected, `${way}: set`)
        t.match(lines.at(-1), { event: 'finish', complete: true, reason: 'exited', otherFilters: false }, way)
        if (way !== 'adaptive') t.equal(lines.at(-1)?.backend, backend) // few calls: perhaps no filter
      }
    })
  }

  t.test('a filter for ARM programs, put in while they run', async (t) => {
    for (const name of ['arm', 'thumb']) {
      const finish = linesOf(step(`${name} adaptive`)).at(-1)
      t.match(finish, { backend: 'ptrace-adaptive', counts: 'at-least', distinct: 3 }, name)
      t.ok(finish?.calls < 22, 'calls pass unseen')
    }
  })

  t.test('calls in the middle of which the process was taken over', async (t) => {
    for (const options of ['-', 's', 'v', 'sv']) {
      const found = step(`waiting ${options}`)
      t.ok(found.text.includes('exit 6\n'), options)
      t.match(linesOf(found).at(-1), { complete: true, backend: 'ptrace-trace', calls: 7 }, options)
    }
  })

  t.test('CLONE_UNTRACED: said by ptrace, seen by eBPF', async (t) => {
    const lines = linesOf(step('untraced syscall'))
    t.match(eventsOf(lines, 'warn'), [{ code: 'untraced-clone' }])
    t.match(lines.at(-1), { complete: false, lost: { tasks: 1 } })
    t.match(linesOf(step('untraced ebpf')).at(-1), { complete: true, tasks: 2 })
  })

  t.test('kill -9 of the tracer ends a program with filters, and no other', async (t) => {
    t.match(step('killed syscall').text, /\bkilled 1\n.*exit 9\n/s)
    t.match(step('killed trace').text, /\bkilled 1\n.*signal 9\n/s)
    for (const way of ['syscall', 'trace']) t.same(eventsOf(linesOf(step(`killed ${way}`)), 'finish'), [], 'partial')
  })

  t.test('arguments', async (t) => {
    for (const way of ['syscall', 'ebpf']) {
      const lines = linesOf(step(`arguments exact ${way}`))
      t.match(lines[0], { detail: 'args' })
      t.match(eventsOf(lines, 'arguments'), [{ arch: 'aarch64', nr: 64, arguments: [0, 2], values: [1, 6] }], way)
      const arm = eventsOf(linesOf(step(`arguments arm ${way}`)), 'arguments')
      t.match(arm, [{ arch: 'arm', nr: 4, arguments: [0, 2], values: [1, 4] }], `${way}: 32-bit`)
    }
  })

  t.test('paths', async (t) => {
    for (const way of ['syscall', 'trace', 'ebpf']) {
      const lines = linesOf(step(`paths ${way}`))
      const files = eventsOf(lines, 'file').map(({ path, access, ok }) => [path, access, ok])
      for (const file of [
        ['/known', ['read'], true],
        ['/absent', ['read'], false],
        ['/tmp/made', ['write', 'create'], true],
        ['/tmp/made', ['remove'], true],
      ])
        t.ok(
          files.some((found) => JSON.stringify(found) === JSON.stringify(file)),
          `${way}: ${JSON.stringify(file)} in ${JSON.stringify(files)}`,
        )
      t.match(eventsOf(lines, 'endpoint'), [{ kind: 'connect', family: 'unix', path: '/tmp/socket', ok: false }], way)
      t.match(
        eventsOf(lines, 'execute').map(({ path }) => path),
        ['/bin/opens', '/bin/arm'],
        way,
      )
      t.match(lines.at(-1), { complete: true, ...(way === 'ebpf' ? {} : { exit: { code: 8 } }) }, way) // as late as Linux 6.15
    }
  })

  t.test('calibrate: what the runtime calls after it has loaded a filter', async (t) => {
    const lines = linesOf(step('calibrate'))
    t.same(countsOf(lines), { 'aarch64 24': 2, 'aarch64 436': 1, 'aarch64 221': 1 })
    t.match(lines.at(-1), { event: 'finish', reason: 'exec', lost: 0 })
    t.match(step('calibrate').text, /^exact\nexit 6\n/)
  })
  return steps
}
