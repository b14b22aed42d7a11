/** The tracer on arm64: learning and enforcing in a virtual machine, which qemu computes without help from this one's processor. */
import { existsSync, readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execa } from 'execa'
import t, { type Test } from 'tap'
import { syscallTable } from '../../src/filter/library.ts'
import type { PolicyDocument } from '../../src/generated/policy.ts'
import { TRACER_ARGUMENTS } from '../../src/generated/tracer-arguments.ts'
import { policyOfRun } from '../../src/learn/run.ts'
import { decodeStream } from '../../src/learn/stream.ts'
import { canonicalPolicy, encodePolicy } from '../../src/policy/document.ts'
import { buildGuest, buildTracer, guest, kernelOf, tracer } from './build.ts'
import { contentOf, execute, type Step } from './machine.ts'

const cli = join(import.meta.dirname, '../../dist/oci-sandbox')
/** Debian's suites, by the kernels that they have: 6.12 and 6.1. */
const SUITES = ['trixie', 'bookworm']
/** Seconds that a machine may take, where the same tests take 20 on an idle one. */
const PATIENCE = 250

/** Programs, what they end with, and calls that depend on chance. */
const PROGRAMS: Record<string, { end: string; words?: string; racy?: number[] }> = {
  exact: { end: 'exit 6' },
  arm: { end: 'exit 8' },
  thumb: { end: 'exit 8' },
  family: { end: 'exit 0' },
  execthread: { end: 'exit 6' },
  signals: { end: 'exit 0' },
  stop1: { end: 'exit 5' },
  switching: { end: 'exit 14' },
  refusing: { end: 'exit 13' },
  tracing: { end: 'exit 13', words: 'refusing trace' },
  stress: { end: 'exit 11', words: 'stress 2' },
  sleeper: { end: 'exit 10' },
  asks: { end: 'exit 3' },
}
/** futex: only if a thread has not ended yet when it is joined. restart_syscall: where a stop interrupts a sleep. <asm-generic/unistd.h> */
const RACY = ['aarch64 98', 'aarch64 128']

const WAYS = {
  syscall: { options: '--backend ptrace-syscall', backend: 'ptrace-syscall' },
  trace: { options: '--backend ptrace-trace', backend: 'ptrace-trace' },
  adaptive: { options: '--backend ptrace-adaptive --patience 3', backend: 'ptrace-adaptive' },
  known: { options: '--backend ptrace-known --known /known', backend: 'ptrace-known' },
  ebpf: { options: '--backend ebpf --denied', backend: 'ebpf' },
}
/** write, getpid and, of ARM, getpid: what --known says. */
const KNOWN = ['aarch64 64', 'aarch64 172', 'arm 20']

const learn = (way: string, options: string, program: string): string[] =>
  `/bin/runtime ${options} /bin/${program} -- /bin/tracer learn --pid PID --output /tmp/output ${way}`.split(' ')
const enforce = (way: string, options: string, program: string, filter: string): string[] =>
  `/bin/runtime ${options} /bin/${program} -- /bin/tracer enforce --pid PID --journal /tmp/output --filter /filters/${filter} ${way}`.split(
    ' ',
  )
const EARLY = '--install early'
const AT_EXEC = '--install exec --allow-no-new-privs'

// biome-ignore lint/suspicious/noExplicitAny: the matchers check the shape of each line
type Line = Record<string, any>
const recordOf = ({ text }: Step): string =>
  text
    .split('\n')
    .filter((line) => line.startsWith('{"event":'))
    .map((line) => `${line}\n`)
    .join('')
const linesOf = (step: Step): Line[] =>
  recordOf(step)
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line))
const eventsOf = (lines: Line[], event: string): Line[] => lines.filter((line) => line.event === event)
const callsOf = (lines: Line[]): string[] =>
  eventsOf(lines, 'seen')
    .map(({ arch, nr }) => `${arch} ${nr}`)
    .sort()
const countsOf = (lines: Line[]): Record<string, number> =>
  Object.fromEntries(eventsOf(lines, 'count').map(({ arch, nr, count }) => [`${arch} ${nr}`, count]))
const withoutRacy = (calls: Iterable<string>): string[] =>
  [...new Set(calls)].filter((call) => !RACY.includes(call)).sort()

/** The policy of a learned run, without some calls. */
function policyOf(name: string, step: Step | undefined, ...without: string[]): PolicyDocument {
  const learned = policyOfRun(name, 'run', decodeStream(recordOf(step ?? { text: '' })), {}, syscallTable())
  const architectures = Object.entries(learned.architectures).map(([architecture, { known, syscalls }]) => {
    const kept = syscalls.filter(({ name: call }) => !without.includes(call ?? ''))
    return [architecture, { known, syscalls: kept }]
  })
  return canonicalPolicy({ ...learned, architectures: Object.fromEntries(architectures) })
}

async function compile(
  directory: string,
  policies: readonly PolicyDocument[],
  action: string,
): Promise<Record<string, Buffer>> {
  const filters: Record<string, Buffer> = {}
  for (const policy of policies) {
    const file = join(directory, `${policy.name}.json`)
    await writeFile(file, encodePolicy(policy))
    await execa(cli, ['compile', file, '-o', `${file}.bpf`, '--action', action, '--no-cache'])
    filters[`filters/${policy.name}`] = readFileSync(`${file}.bpf`)
  }
  return filters
}

function missing(): string | false {
  if (!process.env.TEST_ALL) return 'only in `make test-all`'
  const kernels = SUITES.filter((suite) => !existsSync(kernelOf(suite)))
  return kernels.length > 0 && `test/arm64/kernel could not fetch the kernel of ${kernels.join(', ')}`
}

const reason = missing()
if (reason !== false) t.plan(0, `the virtual arm64 machine: ${reason}`)
else await testAll()

async function testAll(): Promise<void> {
  await buildTracer()
  await buildGuest()
  const names = [
    'runtime',
    'mini',
    'untraced',
    'spin',
    ...Object.keys(PROGRAMS).filter((name) => !PROGRAMS[name]?.words),
  ]
  const files = {
    ...(await contentOf(guest, [...new Set([...names, 'refusing', 'stress'])])),
    init: readFileSync(join(guest, 'init')),
    'bin/tracer': readFileSync(tracer),
    known: Buffer.from(KNOWN.map((call) => `${call}\n`).join('')),
  }
  for (const suite of SUITES) {
    t.test(suite, async (t) => {
      const directory = await mkdtemp(join(tmpdir(), 'arm64-'))
      t.teardown(() => rm(directory, { recursive: true, force: true }))
      const boot = async (more: Record<string, Uint8Array>, commands: Record<string, string[]>) => {
        const { steps, console } = await execute(directory, kernelOf(suite), { ...files, ...more }, commands, PATIENCE)
        if (!console.includes('\n@over\n'))
          throw new Error(`the machine did not come to its end: ${console.slice(-2000)}`)
        return steps
      }
      const learned = await testLearn(t, boot)
      await testEnforce(t, directory, boot, learned)
    })
  }
}

type Boot = (more: Record<string, Uint8Array>, commands: Record<string, string[]>) => Promise<Record<string, Step>>

async function testLearn(t: Test, boot: Boot): Promise<Record<string, Step>> {
  const commands: Record<string, string[]> = { probe: ['/bin/tracer', 'probe'] }
  for (const [name, { words = name }] of Object.entries(PROGRAMS)) {
    for (const [way, { options }] of Object.entries(WAYS)) commands[`${name} ${way}`] = learn(options, 'n', words)
  }
  for (const options of ['-', 's', 'v', 'sv'])
    commands[`waiting ${options}`] = learn(WAYS.trace.options, options, 'exact')
  for (const way of ['syscall', 'ebpf'] as const) commands[`untraced ${way}`] = learn(WAYS[way].options, '-', 'untraced')
  for (const way of ['syscall', 'trace'] as const) commands[`killed ${way}`] = learn(WAYS[way].options, 'K', 'spin')
  commands.arguments = learn(`--arguments ${TRACER_ARGUMENTS.arm64},aarch64:64:5`, '-', 'exact')
  const steps = await boot({}, commands)
  const step = (name: string): Step => steps[name] ?? { text: '' }

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

  for (const [name, { end }] of Object.entries(PROGRAMS)) {
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
    const lines = linesOf(step('arguments'))
    t.match(lines[0], { detail: 'args' })
    const [written] = eventsOf(lines, 'arguments')
    t.match(written, { arch: 'aarch64', nr: 64, arguments: [0, 2], values: [1, 6] })
  })
  return steps
}

async function testEnforce(t: Test, directory: string, boot: Boot, learned: Record<string, Step>): Promise<void> {
  const programs = ['exact', 'arm', 'thumb', 'family', 'execthread', 'signals', 'switching', 'sleeper', 'asks']
  const step = (name: string) => learned[`${name} syscall`]
  const policies = [
    ...programs.map((name) => policyOf(name, step(name))),
    policyOf('no-getuid', step('asks'), 'getuid'),
    policyOf('no-getpid', step('arm'), 'getpid'),
  ]
  const filters = await compile(directory, policies, 'errno')
  const killing = await compile(directory, [policyOf('killing', step('exact'), 'getuid')], 'kill')
  const commands: Record<string, string[]> = {}
  for (const name of programs) {
    commands[`${name} early`] = enforce(EARLY, '-', name, name)
    commands[`${name} exec`] = enforce(AT_EXEC, '-', name, name)
  }
  for (const options of ['s', 'v', 'sv']) commands[`waiting ${options}`] = enforce(EARLY, options, 'exact', 'exact')
  for (const [way, options] of [
    ['early', EARLY],
    ['exec', AT_EXEC],
  ] as const) {
    commands[`refused ${way}`] = enforce(options, '-', 'asks', 'no-getuid')
    commands[`refused 32-bit ${way}`] = enforce(options, '-', 'arm', 'no-getpid')
    commands[`other abi ${way}`] = enforce(options, '-', 'arm', 'exact')
    commands[`killing ${way}`] = enforce(options, '-', 'exact', 'killing')
    commands[`readback ${way}`] = enforce(options, 'r', 'sleeper', 'sleeper')
    commands[`killed ${way}`] = enforce(options, 'k', 'exact', 'exact')
  }
  commands['exec refused'] = enforce('--install exec', '-', 'exact', 'exact')
  const steps = await boot({ ...filters, ...killing }, commands)
  const text = (name: string): string => steps[name]?.text ?? ''

  t.test('a learned policy lets its program run', async (t) => {
    for (const name of programs) {
      const { end } = PROGRAMS[name] ?? { end: '' }
      for (const way of ['early', 'exec']) {
        t.ok(text(`${name} ${way}`).includes(`${end}\n`), `${name}, ${way}: ${end}`)
        t.match(text(`${name} ${way}`), /"event":"in-force"/)
      }
    }
    for (const options of ['s', 'v', 'sv']) t.ok(text(`waiting ${options}`).includes('exit 6\n'), options)
  })

  for (const way of ['early', 'exec']) {
    t.test(`${way}: refusals`, async (t) => {
      t.match(text(`refused ${way}`), /^-1 -38\n/, 'EPERM, and ENOSYS for what nobody knows')
      t.match(text(`asks ${way}`), /^0 -38\n/)
      t.match(text(`refused 32-bit ${way}`), /^arm\n.*exit 9\n/s)
      t.match(text(`other abi ${way}`), /^signal 4\n/, 'of an ABI that the policy does not have not even exit_group passes')
      t.match(text(`killing ${way}`), /^exact\nsignal 31\n/)
    })

    t.test(`${way}: what is installed is what was compiled`, async (t) => {
      const installed = JSON.parse(/^\{"index":0.*$/m.exec(text(`readback ${way}`))?.[0] ?? '{}')
      t.equal(installed.base64, filters['filters/sleeper']?.toString('base64'))
      t.match(text(`readback ${way}`), /exit 10\n/)
    })

    t.test(`${way}: kill -9 of the tracer before the program starts ends the container`, async (t) => {
      t.match(text(`killed ${way}`), /killed 1\n.*signal 9\n/s)
      t.notMatch(text(`killed ${way}`), /exact/)
    })
  }

  t.test('at exec, without permission to set NO_NEW_PRIVS: the program does not start', async (t) => {
    t.match(text('exec refused'), /signal 9\n.*"event":"killed"/s)
  })
}
