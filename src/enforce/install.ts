/** Puts a filter into force in a container that is being created. */
import { journalPath } from '../host/journal.ts'
import { becomeTracer } from '../host/tracer.ts'

export interface Installation {
  readonly pid: number
  /** The container's id, for the journal. */
  readonly container: string
  /** Paths of the raw programs, in the order in which they are to be installed. */
  readonly filters: readonly string[]
  readonly store: string
  readonly setNoNewPrivileges: boolean
}

/**
 * Ends this process (exit code 0) when the filters are in the container's init process, suspended until the program's execve; from
 * then on it holds the program and nothing else. If anything fails after that, the tracer ends the container. Where the process
 * cannot be replaced by the tracer, returns instead. Throws TRACER_FAILED.
 */
export function installFilter({ pid, container, filters, store, setNoNewPrivileges }: Installation): void {
  const permission = setNoNewPrivileges ? ['--allow-no-new-privs'] : []
  becomeTracer([
    'enforce',
    '--pid',
    String(pid),
    ...filters.flatMap((path) => ['--filter', path]),
    '--log',
    '--journal',
    journalPath(store),
    '--container',
    container,
    ...permission,
  ])
}
