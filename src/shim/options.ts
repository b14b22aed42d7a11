/**
 * The options that may stand before an OCI runtime's subcommand, in this one table: the helper reads the command line with what is generated
 * from it (scripts/generate-headers.ts, tracer/repeat/shim_line.c), and the shim the same one.
 */
import { SandboxError } from '../errors.ts'
import { ACTIONS, MODES, type Mode, type ViolationAction } from '../oci/annotations.ts'
import { isPolicyName, NAME_RULE } from '../policy/name.ts'

/** Our own. All take a value. Docker's runtimeArgs arrive first, podman's --runtime-flag last. */
export const OWN_OPTIONS = ['config', 'mode', 'policy', 'action'] as const

/** The runtimes' options that take a value: runc, crun, youki. */
export const VALUE_OPTIONS = ['root', 'log', 'log-format', 'log-level', 'rootless', 'criu', 'cgroup-manager'] as const
/** Those without. */
export const FLAG_OPTIONS = ['debug', 'systemd-cgroup'] as const
/** Those after which no subcommand is needed. */
export const TELLING_OPTIONS = ['help', 'usage', 'version'] as const
/** The short options: youki's for root, log and systemd-cgroup, and the ones that tell something. */
export const SHORT_VALUE_OPTIONS = { r: 'root', l: 'log' } as const
export const SHORT_FLAG_OPTIONS = ['s', 'h', 'v', 'V', '?'] as const

/** Subcommands that start a program in a container. */
export const STARTING = ['create', 'run', 'exec', 'restore'] as const
/** Those that do not: the runtime gets them as they are. */
export const PASSED = [
  ...['start', 'state', 'kill', 'delete', 'list', 'ps', 'pause', 'resume', 'update', 'checkpoint', 'events'],
  ...['features', 'spec', 'help', 'h', 'info', 'mounts'],
] as const

export type Starting = (typeof STARTING)[number]

export interface OwnOptions {
  readonly config?: string
  readonly mode?: Mode
  readonly policy?: string
  readonly action?: ViolationAction
}

export interface CommandLine {
  readonly own: OwnOptions
  /** The runtime's global options, as they were given. */
  readonly globals: readonly string[]
  readonly root?: string
  readonly log?: string
  readonly logFormat?: string
  /** Undefined where there is none (--version). */
  readonly subcommand?: string
  /** What follows the subcommand. */
  readonly rest: readonly string[]
}

/** Whatever is found before an error: it says where errors go. */
export type Draft = { -readonly [K in keyof CommandLine]: CommandLine[K] }

export function usage(problem: string): SandboxError {
  return new SandboxError('USAGE', `oci-sandbox-runtime: ${problem}; see oci-sandbox-runtime(8)`)
}

/** Splits --name=value. Go's flags are the same with one dash. */
function splitOption(argument: string): { name: string; value: string | undefined } {
  const [, name = '', value] = /^--?([^=]*)(?:=(.*))?$/s.exec(argument) ?? []
  return { name, value }
}

const includes = (list: readonly string[], name: string) => list.includes(name)

/**
 * Reads a command line into `draft`, which holds what has been found also when this throws USAGE: an option that is not known may take a
 * value, so that the subcommand is not known either, and nothing must be started.
 */
export function readCommandLine(args: readonly string[], draft: Draft): void {
  const own: Record<string, string> = {}
  let at = 0
  const valueFor = (option: string, value: string | undefined): string => {
    const found = value ?? args[++at]
    if (found === undefined) throw usage(`${option}: expected a value`)
    return found
  }
  const globals: string[] = []
  draft.globals = globals
  for (; at < args.length; at++) {
    const argument = args[at] as string
    if (!argument.startsWith('-')) break
    const { name, value } = splitOption(argument)
    const long = (SHORT_VALUE_OPTIONS as Readonly<Record<string, string>>)[name] ?? name
    const before = at
    if (argument.startsWith('--') && includes(OWN_OPTIONS, name)) {
      own[name] = valueFor(argument, value)
      continue
    }
    if (includes(VALUE_OPTIONS, long)) {
      const found = valueFor(argument, value)
      if (long === 'root') draft.root = found
      if (long === 'log') draft.log = found
      if (long === 'log-format') draft.logFormat = found
    } else if (!includes([...FLAG_OPTIONS, ...TELLING_OPTIONS, ...SHORT_FLAG_OPTIONS], name)) {
      throw usage(`option ${argument} before the subcommand is not known, so nothing is started`)
    }
    globals.push(...args.slice(before, at + 1))
  }
  draft.own = checkOwn(own)
  const subcommand = args[at]
  if (subcommand === undefined) return
  if (!includes([...STARTING, ...PASSED], subcommand)) {
    throw usage(`subcommand ${JSON.stringify(subcommand)} is not known, so nothing is started`)
  }
  draft.subcommand = subcommand
  draft.rest = args.slice(at + 1)
}

function checkOwn({ config, mode, policy, action }: Record<string, string>): OwnOptions {
  if (mode !== undefined && !includes(MODES, mode)) throw usage(`--mode ${mode}: expected ${MODES.join(' or ')}`)
  if (action !== undefined && !includes(ACTIONS, action))
    throw usage(`--action ${action}: expected ${ACTIONS.join(', ')}`)
  if (policy !== undefined && !isPolicyName(policy)) throw usage(`--policy ${policy}: a policy's name is ${NAME_RULE}`)
  if (mode === undefined && (policy ?? action) !== undefined) throw usage('--policy and --action go with --mode')
  return {
    ...(config === undefined ? {} : { config }),
    ...(mode === undefined ? {} : { mode: mode as Mode }),
    ...(policy === undefined ? {} : { policy }),
    ...(action === undefined ? {} : { action: action as ViolationAction }),
  }
}
