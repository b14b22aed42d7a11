/** Puts a filter into force in a container that is being created. */
import { journalPath, type LogLevel } from '../host/journal.ts'
import { handOverToTracer } from '../host/tracer.ts'

export interface Installation {
  readonly pid: number
  /** The container's id, for the journal. */
  readonly container: string
  /** Paths of the raw programs, in the order in which they are to be installed. */
  readonly filters: readonly string[]
  readonly store: string
  readonly setNoNewPrivileges: boolean
  /** What the helper writes into the journal. */
  readonly logLevel: LogLevel
}

/**
 * Returns when the filters are in the container's init process, suspended until the program's execve; from then on they hold the program
 * and nothing else. If anything fails after that, the tracer ends the container. The result is the hook's exit code: where it is not 0,
 * the tracer has said and journalled why. Throws TRACER_FAILED.
 */
export function installFilter({ pid, container, ...rest }: Installation): number {
  return handOverToTracer(['enforce', '--pid', String(pid), '--container', container, ...tracerArguments(rest)])
}

/** The helper's arguments besides those that name the process. */
export function tracerArguments({
  filters,
  store,
  setNoNewPrivileges,
  logLevel,
}: Omit<Installation, 'pid' | 'container'>): string[] {
  return [
    ...filters.flatMap((path) => ['--filter', path]),
    ...['--log', '--journal', journalPath(store)],
    ...(logLevel === 'info' ? [] : ['--journal-level', logLevel]),
    ...(setNoNewPrivileges ? ['--allow-no-new-privs'] : []),
  ]
}
