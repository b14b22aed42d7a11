/** What learning costs while the program runs, against the program alone and against other tools; what a run leaves behind. */
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import { bpfHook } from './bpf-hook.ts'
import type { Container, Store, Workspace } from './container.ts'
import { FIXTURES, MEASURED_RUN, OCI_SANDBOX } from './paths.ts'
import { fixture, hook, learned } from './sandbox.ts'
import { median, shuffled } from './statistics.ts'
import type { Table } from './table.ts'
import { TEN_MILLION, WORKLOADS, type Workload } from './workloads.ts'

const ROUNDS = 5
/** Bytes of what is kept of a run, and the most that arguments may cost beside names. */
const MOST_BYTES = 1_000_000
const MOST_FOR_ARGUMENTS = 1.1
/** Times the program alone, on tar. */
const MOST_FOR_PATHS = 1.5
/** Times that our slow backends should be faster than strace -f, on dd. */
const BESIDE_STRACE = 2

/** A way of running a container. `few`: it takes many times as long as the program alone. */
interface Mode {
  readonly name: string
  readonly few: boolean
  /** A way with a state of its own must not be prepared before it is run. */
  prepare(container: Container): () => Measured
}

interface Measured {
  /** s, from the start of `runc run` to its end. */
  readonly wall: number
  /** s of processor time, of the program and of all that watched it. */
  readonly cpu: number
}

const EBPF = 'ebpf'
const KNOWN = 'ptrace-known'
const ADAPTIVE = 'ptrace-adaptive'
const EMPTY = 'empty tracepoint'
const NATIVE = 'native'
const ARGUMENTS = 'auto, args'
const PATHS = 'auto, paths'

export async function benchLearn(workspace: Workspace, rounds = ROUNDS): Promise<Table[]> {
  const notes: string[] = []
  const modes = modesOf(workspace, notes)
  const starts = await measure(
    modes,
    () => fixture('exit'),
    () => 1,
    Math.max(rounds, 3),
  )
  const rows: string[][] = [
    ['start and end, ms', ...modes.map(({ name }) => (median(starts.of(name).wall) * 1000).toFixed(0))],
  ]
  const cpuRows: string[][] = []
  const verdicts: string[] = []
  for (const workload of WORKLOADS) {
    const found = await measure(modes, workload.container, (mode) => (mode.few ? workload.few : workload.units), rounds)
    /** Seconds a unit, without the start and the end. */
    const perUnit = ({ name, few }: Mode, what: keyof Measured) =>
      (median(found.of(name)[what]) - median(starts.of(name)[what])) / (few ? workload.few : workload.units)
    const native = modes.find(({ name }) => name === NATIVE) as Mode
    const ratio = (name: string, what: keyof Measured = 'wall', base = NATIVE) => {
      const [mode, other] = [name, base].map((one) => modes.find((candidate) => candidate.name === one))
      return mode === undefined || other === undefined ? Number.NaN : perUnit(mode, what) / perUnit(other, what)
    }
    const seconds = (perUnit(native, 'wall') * workload.units).toFixed(2)
    rows.push([workload.name, ...modes.map(({ name }) => (name === NATIVE ? `${seconds} s` : times(ratio(name))))])
    cpuRows.push([
      workload.name,
      `${(perUnit(native, 'cpu') * workload.units).toFixed(2)} s`,
      ...modes.filter(({ name }) => name !== NATIVE).map(({ name }) => times(ratio(name, 'cpu'))),
    ])
    verdicts.push(...verdictsOf(workload, ratio))
  }
  const header = ['times the program alone', ...modes.map(({ name }) => name)]
  return [
    {
      title: 'What learning costs',
      header,
      rows,
      notes: [
        `${rounds} rounds, medians of whole \`runc run\`s with the hooks, less those of a program that ends at once in the same way (the first row). ` +
          `Each run is its policy's first, but for ${KNOWN}: there two earlier runs have seen the same. ${version('strace')}, ${version('perf')}.`,
        ...notes,
        verdicts.join('\n'),
      ],
    },
    {
      title: 'What learning costs in processor time',
      header: ['times that of the program alone', ...header.slice(1)],
      rows: cpuRows,
      notes: [
        'The same runs: of the program, the runtime and everything that watched it, to the end of what the hook left behind.',
      ],
    },
    benchData(workspace),
  ]
}

function times(ratio: number): string {
  return `${ratio.toFixed(ratio < 10 ? 2 : 0)}x`
}

function verdictsOf(
  { name, goals }: Workload,
  ratio: (name: string, what?: keyof Measured, base?: string) => number,
): string[] {
  const beside = (mode: string, value: number, goal: number) =>
    `${name}: ${mode} ${value.toFixed(2)} times the program alone, the goal is at most ${goal}: ${value <= goal ? 'met' : 'MISSED'}.`
  const args = ratio(ARGUMENTS, 'wall', EBPF)
  const strace = (mode: string) => {
    const value = 1 / ratio(mode, 'wall', 'strace -f')
    return `${name}: ${mode} is ${value.toFixed(1)} times as fast as strace -f, the goal is ${BESIDE_STRACE}: ${value >= BESIDE_STRACE ? 'met' : 'MISSED'}.`
  }
  return [
    beside(EBPF, ratio(EBPF), goals.ebpf),
    ...(name.startsWith('dd')
      ? [`${name}: an empty tracepoint alone ${ratio(EMPTY).toFixed(2)} times the program alone.`]
      : []),
    ...[KNOWN, ADAPTIVE].map((mode) => beside(mode, ratio(mode), goals.filtered)),
    `${name}: arguments cost ${args.toFixed(2)} times what names cost with the fastest backend, the goal is at most ${MOST_FOR_ARGUMENTS}: ${args <= MOST_FOR_ARGUMENTS ? 'met' : 'MISSED'}.`,
    ...(name.startsWith('tar') ? [beside(PATHS, ratio(PATHS), MOST_FOR_PATHS)] : []),
    ...(name.startsWith('dd') ? ['ptrace-syscall', 'ptrace-trace'].map(strace) : []),
  ]
}

/** Each mode in turn, in random order in each round. */
async function measure(
  modes: readonly Mode[],
  container: (units: number) => Container,
  units: (mode: Mode) => number,
  rounds: number,
): Promise<{ of(name: string): { wall: number[]; cpu: number[] } }> {
  const found = new Map(modes.map(({ name }) => [name, { wall: [] as number[], cpu: [] as number[] }]))
  const runs = new Map(modes.map((mode) => [mode, mode.prepare(container(units(mode)))]))
  runs.get(modes[0] as Mode)?.() // not measured: it fills the caches
  for (let round = 0; round < rounds; round++) {
    for (const [{ name }, run] of shuffled([...runs])) {
      const { wall, cpu } = run()
      found.get(name)?.wall.push(wall)
      found.get(name)?.cpu.push(cpu)
      await turn() // a signal that came meanwhile is seen
    }
  }
  return { of: (name) => found.get(name) ?? { wall: [], cpu: [] } }
}

function modesOf(workspace: Workspace, notes: string[]): Mode[] {
  const plain = (name: string, few: boolean, change: (container: Container) => Container = (one) => one): Mode => ({
    name,
    few,
    prepare: (container) => measured(workspace, change(container)),
  })
  return [
    plain(NATIVE, false),
    anew(workspace, EBPF, false, { backend: 'ebpf' }),
    anew(workspace, ARGUMENTS, false, { backend: 'auto' }, 'args'),
    anew(workspace, PATHS, false, { backend: 'auto' }, 'paths'),
    anew(workspace, 'auto, events', true, { backend: 'auto' }, 'events'),
    known(workspace),
    anew(workspace, ADAPTIVE, false, { backend: 'ptrace-adaptive' }),
    anew(workspace, 'ptrace-trace', true, { backend: 'ptrace-trace' }),
    anew(workspace, 'ptrace-syscall', true, { backend: 'ptrace-syscall' }),
    ...emptyTracepoint(workspace, notes),
    plain('strace -f', true, (container) => traced(container)),
    plain('strace -f -c', true, (container) => traced(container, '-c')),
    ...perfTrace(workspace, notes),
    ...bpfHook(notes).map((trace) => plain('oci-seccomp-bpf-hook', false, trace)),
  ]
}

/** Each run is a policy's first: nothing is known of the program. */
function anew(workspace: Workspace, name: string, few: boolean, learn: object, detail = 'names'): Mode {
  const store = workspace.store(`learn-${name.replace(/\W+/g, '-')}`, { learn })
  return {
    name,
    few,
    prepare: (container) => () =>
      measured(workspace, withDetail(learned(container, store, `run-${process.hrtime.bigint()}`), detail))(),
  }
}

/** What two runs have shown is known. */
function known(workspace: Workspace): Mode {
  const store = workspace.store(KNOWN, { learn: { backend: KNOWN } })
  return {
    name: KNOWN,
    few: false,
    prepare(container) {
      const policy = `known-${process.hrtime.bigint()}`
      const run = measured(workspace, learned(container, store, policy))
      run()
      run()
      return run
    },
  }
}

function withDetail(container: Container, detail: string): Container {
  return { ...container, annotations: { ...container.annotations, 'io.sandbox.detail': detail } }
}

function traced(container: Container, ...options: string[]): Container {
  return { ...container, args: ['/usr/bin/strace', '-f', ...options, '-o', '/dev/null', ...container.args] }
}

/** The floor of whatever counts calls by a raw tracepoint: a program on it that does nothing. */
function emptyTracepoint(workspace: Workspace, notes: string[]): Mode[] {
  const attached = join(FIXTURES, 'empty-tracepoint')
  if (spawnSync(attached, ['true']).status === 0)
    return [{ name: EMPTY, few: false, prepare: (container) => measured(workspace, container, [attached]) }]
  notes.push(`${EMPTY} does not run here: the kernel does not let it be attached.`)
  return []
}

/** On the host, around the runtime: it needs more rights than a container has. */
function perfTrace(workspace: Workspace, notes: string[]): Mode[] {
  const command = ['perf', 'trace', '-s', '-o', '/dev/null', '--']
  const tried = spawnSync('perf', [...command.slice(1), 'true'], { encoding: 'utf8', timeout: 20_000 })
  if (tried.status === 0)
    return [{ name: 'perf trace -s', few: true, prepare: (container) => measured(workspace, container, command) }]
  notes.push(`perf trace -s does not run here: ${lastLine(tried.stderr ?? String(tried.error))}`)
  return []
}

function lastLine(text: string): string {
  return text.trim().split('\n').at(-1) ?? ''
}

/** Runs it with a program between that waits for the tracer and for what the hook leaves behind, too. */
function measured(workspace: Workspace, container: Container, around: readonly string[] = []): () => Measured {
  const file = join(workspace.directory, 'measured')
  const run = workspace.prepare(container, [MEASURED_RUN, file, ...around])
  return () => {
    run()
    const [wall, cpu] = readFileSync(file, 'utf8').split(' ').map(Number)
    return { wall: (wall as number) / 1e9, cpu: (cpu as number) / 1e6 }
  }
}

/** What is kept of a run: its record until it is merged, then the policy. */
function benchData(workspace: Workspace): Table {
  const programs = [
    ...WORKLOADS.map(({ name, units, container }) => [name, container(units)] as const),
    ['ten million calls', TEN_MILLION] as const,
  ]
  const store = workspace.store('data')
  let most = 0
  const rows = programs.flatMap(([name, container], index) =>
    ['names', 'args', 'paths'].map((detail) => {
      const kept = keptOf(workspace, store, container, `data-${index}-${detail}`, detail)
      most = Math.max(most, kept.record + kept.policy)
      return [
        name,
        detail,
        kept.backend,
        ...[kept.calls, kept.record, kept.policy].map((value) => value.toLocaleString('en')),
      ]
    }),
  )
  return {
    title: 'What is kept of a run',
    header: ['workload', 'detail', 'backend', 'calls counted', 'record, bytes', 'policy, bytes'],
    rows,
    notes: [
      'The record is there until the run is merged into the policy. A backend that lets calls pass unseen counts fewer.',
      `The most of one run is ${most.toLocaleString('en')} bytes, the goal is under ${MOST_BYTES.toLocaleString('en')}: ${most < MOST_BYTES ? 'met' : 'MISSED'}.`,
    ],
  }
}

function keptOf(workspace: Workspace, store: Store, container: Container, policy: string, detail: string) {
  const run = withDetail(learned(container, store, policy), detail)
  // Without poststop the record stays until somebody looks.
  workspace.prepare({ ...run, hooks: { createRuntime: [hook('learn', store)] } })()
  const directory = join(store.root, 'policies', policy)
  const finished = () => {
    const names = readdirSync(join(directory, 'runs')).map((name) => join(directory, 'runs', name))
    return names.some((name) => readFileSync(name, 'utf8').includes('"finish"')) ? names : undefined
  }
  let names = finished()
  for (const deadline = Date.now() + 20_000; names === undefined && Date.now() < deadline; ) names = finished()
  if (names === undefined) throw new Error(`the record of ${policy} has no end`)
  const record = names.reduce((sum, name) => sum + statSync(name).size, 0)
  const show = ['--config', store.config, 'policy', 'show', policy, '--json']
  const { runs } = JSON.parse(execFileSync(OCI_SANDBOX, show, { encoding: 'utf8' })) as {
    runs: { calls: number; backend: string }[]
  }
  return {
    record,
    policy: statSync(join(directory, 'policy.json')).size,
    calls: runs[0]?.calls ?? 0,
    backend: runs[0]?.backend ?? '',
  }
}

function version(program: string): string {
  if (!existsSync(`/usr/bin/${program}`)) return `no ${program}`
  return spawnSync(program, ['--version'], { encoding: 'utf8' }).stdout.split('\n')[0] ?? program
}
