/** What a command is, and how its arguments and its help are read from one declaration. */
import { parseArgs } from 'node:util'
import { loadSettings, type Settings } from '../decide/settings.ts'
import { compileAhead } from '../enforce/filter.ts'
import { oneLine, SandboxError } from '../errors.ts'
import { print, printError } from '../host/output.ts'
import { Store } from '../policy/store.ts'

export interface Option {
  readonly type: 'string' | 'boolean'
  readonly short?: string
  /** What stands for the value in help texts: FILE, NAME. */
  readonly value?: string
  /** It may be given several times. */
  readonly multiple?: boolean
  readonly help: string
}

export interface Invocation {
  readonly operands: readonly string[]
  text(option: string): string | undefined
  /** Of an option that may be given several times. */
  texts(option: string): readonly string[]
  flag(option: string): boolean
  readonly settings: Settings
  readonly store: Store
}

export interface Command {
  /** As it is typed: "policy show". */
  readonly name: string
  /** The operands, as they stand in the usage line. */
  readonly operands?: string
  readonly summary: string
  /** More than the summary, for --help. */
  readonly details?: string
  readonly options?: Readonly<Record<string, Option>>
  /** How many operands it takes: [least, most]. */
  readonly arity: readonly [number, number]
  /** Returns the exit code. */
  run(invocation: Invocation): number | Promise<number>
}

/** The options that every command takes. */
export const COMMON_OPTIONS: Readonly<Record<string, Option>> = {
  config: {
    type: 'string',
    value: 'FILE',
    help: 'use this host configuration instead of /etc/oci-sandbox/config.json',
  },
  help: { type: 'boolean', short: 'h', help: 'show this help' },
}

function usageError(command: Command, problem: string): SandboxError {
  return new SandboxError('USAGE', `${problem}; usage: ${usage(command)}`)
}

export function usage({ name, operands, options = {} }: Command): string {
  const all = Object.entries({ ...options, ...COMMON_OPTIONS })
  const flags = all.map(
    ([long, { short, value }]) => `[${short ? `-${short}|` : ''}--${long}${value ? ` ${value}` : ''}]`,
  )
  return ['oci-sandbox', name, operands, ...flags].filter(Boolean).join(' ')
}

export function help(command: Command): string {
  const rows = Object.entries({ ...command.options, ...COMMON_OPTIONS }).map(([long, { short, value, help }]) => [
    `${short ? `-${short}, ` : '    '}--${long}${value ? ` ${value}` : ''}`,
    help,
  ])
  const width = Math.max(...rows.map(([left]) => (left as string).length))
  const options = rows.map(([left, right]) => `  ${(left as string).padEnd(width)}  ${right}`)
  const name = ['oci-sandbox', command.name, command.operands].filter(Boolean).join(' ')
  return [
    `Usage: ${name} [OPTIONS]`,
    '',
    command.summary,
    ...(command.details ? ['', command.details] : []),
    '',
    'Options:',
    ...options,
    '',
  ].join('\n')
}

/** Parses the arguments and runs the command. Throws USAGE. */
export async function runCommand(command: Command, args: readonly string[]): Promise<number> {
  const options: Record<string, { type: 'string' | 'boolean'; short?: string; multiple: boolean }> = {}
  for (const [long, { type, short, multiple = false }] of Object.entries({ ...command.options, ...COMMON_OPTIONS })) {
    options[long] = { type, multiple, ...(short === undefined ? {} : { short }) }
  }
  let parsed: { values: Record<string, unknown>; positionals: string[] }
  try {
    parsed = parseArgs({ args: [...args], options, allowPositionals: true })
  } catch (error) {
    throw usageError(command, oneLine(error))
  }
  const { values, positionals } = parsed
  if (values.help) {
    print(help(command))
    return 0
  }
  const [least, most] = command.arity
  if (positionals.length < least || positionals.length > most) {
    const expected = most === 0 ? 'no operand' : `${command.operands}`
    throw usageError(command, `expected ${expected}, found ${positionals.join(' ') || 'nothing'}`)
  }
  const settings = loadSettings(values.config as string | undefined)
  const store = new Store(settings.store, settings)
  const code = await command.run({
    operands: positionals,
    text: (option) => values[option] as string | undefined,
    texts: (option) => (values[option] ?? []) as string[],
    flag: (option) => values[option] === true,
    settings,
    store,
  })
  await compileChanged(store, settings)
  return code
}

/** Neither does the next start wait for it, nor is it the first to say that a policy cannot be enforced. */
async function compileChanged(store: Store, settings: Settings): Promise<void> {
  for (const policy of store.changed) {
    const error = await compileAhead(store, policy, settings)
    if (error !== undefined) printError(`oci-sandbox: ${policy} cannot be enforced as it is now: ${oneLine(error)}\n`)
  }
}
