/** Trace -> the policy of that one run. Pure. */
import type { AllowedSyscall, Image, LearnedPaths, PolicyDocument, Run } from '../generated/policy.ts'
import { argumentsOf } from '../policy/arguments.ts'
import { type ArchitectureName, canonicalPolicy, POLICY_VERSION } from '../policy/document.ts'
import { unseenCalls } from '../policy/kernel-calls.ts'
import type { SyscallTable } from '../policy/names.ts'
import type { TracedPaths } from './path-event.ts'
import type { Trace } from './stream.ts'

/** What the hook knows of a run and the tracer does not. */
export interface Note {
  readonly started?: string
  readonly container?: string
  readonly image?: Image
}

/** PATH_MAX of linux/limits.h, and what the schema takes. */
const MAX_PATH = 4096
/** What the schema takes; without x32's bit. */
const MAX_NUMBER = 0x3fff_ffff

/** __X32_SYSCALL_BIT of asm/unistd.h: the tracer leaves it out, filters see it. */
const X32_BIT = 0x4000_0000

/** The tracer's number of a call -> the one that filters see. */
export function numberInFilters(arch: string, nr: number): number {
  return arch === 'x32' ? nr + X32_BIT : nr
}

export function policyOfRun(name: string, id: string, trace: Trace, note: Note, table: SyscallTable): PolicyDocument {
  const architectures: PolicyDocument['architectures'] = {}
  const detail = trace.hello?.detail
  for (const { arch, nr, count, learned } of trace.calls) {
    if (nr < 0 || nr > MAX_NUMBER) continue // no kernel has such a call: it ends in ENOSYS, allowed or not
    const architecture = arch as ArchitectureName
    const number = numberInFilters(arch, nr)
    const syscall = table.nameOf(arch, number)
    // The lines of its arguments were lost: nothing is known of it that could be allowed.
    if (
      learned === undefined &&
      detail !== undefined &&
      detail !== 'names' &&
      argumentsOf(arch, syscall ?? '').length > 0
    )
      continue
    architectures[architecture] ??= { known: table.highest(arch), syscalls: [] }
    architectures[architecture].syscalls.push({
      ...(syscall === undefined ? { number } : { name: syscall }),
      count,
      since: id,
      ...(learned === undefined || learned === 'any' ? {} : { learned }),
    })
  }
  for (const [architecture, { syscalls }] of Object.entries(architectures)) {
    const seen = new Set(syscalls.map(({ name }) => name))
    const always: AllowedSyscall[] = unseenCalls(architecture as ArchitectureName).map((name) => ({ name }))
    syscalls.push(...always.filter((call) => !seen.has(call.name)))
  }
  return canonicalPolicy({
    version: POLICY_VERSION,
    name,
    complete: false,
    architectures,
    ...(trace.paths === undefined ? {} : { paths: pathsOf(id, trace.paths) }),
    runs: [runOf(id, trace, note, table)],
  })
}

/** Each fact with the run that had it. */
function pathsOf(id: string, { files, endpoints, programs }: TracedPaths): LearnedPaths {
  const since = <T extends object>(fact: T) => ({ ...fact, since: id })
  return { files: files.map(since), endpoints: endpoints.map(since), programs: programs.map(since) }
}

/** What is missing of them. io_uring opens files and connects sockets without a call that says which. */
function pathsOfRun({ paths, finish, damage, calls }: Trace, table: SyscallTable): Pick<Run, 'paths'> {
  if (paths === undefined) return {}
  const { left = 0, unreadable = 0, long = 0, folded = 0 } = paths.missing ?? {}
  const whole = finish?.complete === true && damage === undefined && paths.missing !== undefined
  const unseen = calls.some(({ arch, nr }) => table.nameOf(arch, numberInFilters(arch, nr)) === 'io_uring_enter')
  return { paths: { complete: whole && !unseen && left + unreadable + long === 0, left, unreadable, long, folded } }
}

function runOf(id: string, trace: Trace, note: Note, table: SyscallTable): Run {
  const { hello, program, finish, known: unwatched, damage, events } = trace
  const { started, ...known } = note
  return {
    id,
    ...known,
    ...(program === undefined
      ? {}
      : {
          program: {
            path: program.path.slice(0, MAX_PATH),
            ...(program.sha256 === undefined ? {} : { digest: `sha256:${program.sha256}` }),
          },
        }),
    ...(hello === undefined ? {} : { kernel: hello.kernel, machine: hello.machine }),
    backend: finish?.backend ?? hello?.backend ?? 'ptrace-syscall',
    detail: hello?.detail ?? 'names',
    started: hello?.started ?? started ?? '1970-01-01T00:00:00.000Z',
    ...(finish === undefined ? {} : { ended: finish.ended }),
    complete: finish?.complete === true && damage === undefined,
    reason: damage ?? finish?.reason ?? 'the tracer was ended before the program',
    ...(finish?.exit === undefined || finish.exit === null ? {} : { exit: finish.exit }),
    calls: finish?.calls ?? trace.calls.reduce((sum, { count }) => sum + count, 0),
    distinct: trace.calls.length,
    ...(finish?.counts === 'at-least' ? { counts: finish.counts } : {}),
    ...(unwatched.length === 0 ? {} : { unwatched: unwatched.reduce((sum, { numbers }) => sum + numbers.length, 0) }),
    ...(finish?.otherFilters === true ? { otherFilters: true } : {}),
    ...pathsOfRun(trace, table),
    ...(events === undefined
      ? {}
      : { events: { written: events.written, dropped: events.dropped, failed: events.failed } }),
    tasks: finish?.tasks ?? 0,
    lost: { tasks: finish?.lost.tasks ?? 0, calls: finish?.lost.calls ?? 0, writes: finish?.lost.writes ?? 0 },
  }
}
