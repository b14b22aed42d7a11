import type { Settings } from '../decide/settings.ts'
import type { Place } from './container.ts'
import type { CommandLine, Starting } from './options.ts'

/** One call of oci-sandbox-runtime that starts something. */
export interface Invocation {
  readonly command: CommandLine
  readonly subcommand: Starting
  readonly settings: Settings
  /** The absolute path of --config; undefined: the usual one. */
  readonly config: string | undefined
  /** The real runtime. */
  readonly runtime: string
  /** The process that becomes the runtime. */
  readonly pid: number
  place(id: string): Place
}
