import type { Settings } from '../decide/settings.ts'
import type { Memory } from '../enforce/remember.ts'
import type { Place } from './container.ts'
import type { CommandLine, Starting } from './options.ts'

/** One call of oci-sandbox-runtime that starts something. */
export interface Invocation {
  readonly command: CommandLine
  readonly subcommand: Starting
  readonly settings: Settings
  /** The absolute path of --config; undefined: the usual one. */
  readonly config: string | undefined
  /** Where the answer goes, if it is to be remembered. */
  readonly memory: Memory | undefined
  /** The real runtime. */
  readonly runtime: string
  /** The process that becomes the runtime. */
  readonly pid: number
  place(id: string): Place
}
