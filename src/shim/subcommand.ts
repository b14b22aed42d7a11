/** The command lines of create, run, exec and restore: the container's id, and the options that the shim has to know. */
import { type Starting, usage } from './options.ts'

/** Long and short names, as of runc 1.1 to 1.3, crun and youki. */
export const BUNDLE = ['bundle', 'b']
/** Of create and run. */
const PREPARING = [...BUNDLE, 'console-socket', 'c', 'pid-file', 'p', 'preserve-fds', 'pidfd-socket', 'config', 'f']
export const VALUES: Readonly<Record<Starting, readonly string[]>> = {
  create: PREPARING,
  run: PREPARING,
  exec: [
    ...[
      'console-socket',
      'cwd',
      'env',
      'e',
      'user',
      'u',
      'additional-gids',
      'g',
      'process',
      'p',
      'pid-file',
      'pidfd-socket',
    ],
    ...['process-label', 'apparmor', 'cap', 'c', 'preserve-fds', 'cgroup'],
  ],
  restore: [
    ...[...BUNDLE, 'console-socket', 'image-path', 'work-path', 'manage-cgroups-mode', 'pid-file', 'empty-ns'],
    ...['lsm-profile', 'lsm-mount-context'],
  ],
}
export const FLAGS: Readonly<Record<Starting, readonly string[]>> = {
  create: ['no-pivot', 'no-new-keyring', 'no-subreaper'],
  run: ['no-pivot', 'no-new-keyring', 'no-subreaper', 'detach', 'd', 'keep'],
  exec: ['tty', 't', 'detach', 'd', 'no-new-privs', 'ignore-paused'],
  restore: [
    ...['tcp-established', 'ext-unix-sk', 'shell-job', 'file-locks', 'detach', 'd', 'no-subreaper', 'no-pivot'],
    ...['auto-dedup', 'lazy-pages'],
  ],
}
const TELLING = ['help', 'h', 'usage', '?']

export interface Arguments {
  /** Undefined where the command only asks for help. */
  readonly id?: string
  readonly bundle?: string
  /** crun's --config FILE: another name for config.json. */
  readonly config?: string
  /** Everything but the bundle and crun's --config, the id included. */
  readonly others: readonly string[]
}

/**
 * Throws USAGE where it is not certain that every runtime reads the same container and bundle: for an option that is not known, as whether it
 * takes a value decides what the id is; for -name and -n=value, which are one option to Go's flags, and several or another value to getopt(3);
 * and where there is no id, unless help is asked for.
 */
export function readArguments(subcommand: Starting, args: readonly string[]): Arguments {
  const found: { -readonly [K in keyof Arguments]: Arguments[K] } & { others: string[] } = { others: [] }
  let ended = false
  for (let at = 0; at < args.length; at++) {
    const argument = args[at] as string
    // What follows exec's container id belongs to the program.
    if (found.id !== undefined && subcommand === 'exec')
      return { ...found, others: [...found.others, ...args.slice(at)] }
    if (ended || !argument.startsWith('-') || argument === '-') found.id ??= argument
    if (ended || !argument.startsWith('-') || argument === '-' || argument === '--') {
      ended ||= argument === '--'
      found.others.push(argument)
      continue
    }
    const { name, value, long } = split(argument)
    if (!long && (name.length > 1 || value !== undefined))
      throw usage(`option ${argument} of ${subcommand}: write --NAME VALUE or -N VALUE; runtimes differ about this one`)
    if (TELLING.includes(name)) {
      if (value === undefined) return { others: args }
      throw usage(`option ${argument} of ${subcommand}: it takes no value`)
    }
    if (FLAGS[subcommand].includes(name)) found.others.push(argument)
    else if (VALUES[subcommand].includes(name)) {
      const given = value ?? args[++at]
      if (given === undefined) throw usage(`${subcommand} ${argument}: expected a value`)
      if (BUNDLE.includes(name)) found.bundle = given
      else if (name === 'config' || (name === 'f' && !long)) found.config = given
      else found.others.push(...(value === undefined ? [argument, given] : [argument]))
    } else throw usage(`option ${argument} of ${subcommand} is not known, so nothing is started`)
  }
  if (found.id === undefined) throw usage(`${subcommand}: expected the container's id`)
  return found
}

/** --name=value, --name value, -n value. */
function split(argument: string): { name: string; value: string | undefined; long: boolean } {
  const [, dashes = '', name = '', value] = /^(--?)([^=]*)(?:=(.*))?$/s.exec(argument) ?? []
  return { name, value, long: dashes === '--' }
}
