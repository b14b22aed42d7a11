/** What the shells' completions are made from: the commands' own declarations. */
import { COMMON_OPTIONS, type Command, type Option } from '../command.ts'

/** What may stand in a place: files, directories, policies of the store, one of some words, or nothing that is known. */
export type Kind = 'file' | 'directory' | 'policy' | 'any' | readonly string[]

export interface Flag {
  readonly long: string
  readonly short?: string
  readonly help: string
  /** Of its value; undefined: it takes none. */
  readonly value?: Kind
}

export interface Entry {
  readonly words: readonly string[]
  readonly summary: string
  readonly flags: readonly Flag[]
  /** Of its operands; undefined: it takes none. */
  readonly operand?: Kind
}

/** The hooks are for runtimes, but people type them too when something is wrong. */
const HOOK: Entry = {
  words: ['hook'],
  summary: 'What runtimes start, with the state of a container on standard input.',
  flags: flagsOf({}),
  operand: ['learn', 'enforce'],
}

export function entriesOf(commands: readonly Command[]): Entry[] {
  const entries = commands.map(({ name, summary, operands, options = {} }) => ({
    words: name.split(' '),
    summary,
    flags: flagsOf(options),
    ...(operands === undefined ? {} : { operand: kindOf(operands) }),
  }))
  const firsts = [...new Set([...entries, HOOK].map(({ words }) => words[0] as string))]
  return [...entries, HOOK, { words: ['help'], summary: 'Show help.', flags: [], operand: firsts }]
}

function flagsOf(options: Readonly<Record<string, Option>>): Flag[] {
  return Object.entries({ ...options, ...COMMON_OPTIONS }).map(([long, { short, type, value, help }]) => ({
    long,
    help,
    ...(short === undefined ? {} : { short }),
    ...(type === 'string' ? { value: kindOf(value ?? '') } : {}),
  }))
}

/** From what stands for the value in help texts: FILE, DIR, POLICY, or the words themselves, as in errno|kill|log. */
function kindOf(value: string): Kind {
  if (/^[a-z0-9_-]+(\|[a-z0-9_-]+)*$/.test(value)) return value.split('|')
  if (/POLICY/.test(value)) return 'policy'
  if (/DIR/.test(value)) return 'directory'
  return /FILE/.test(value) ? 'file' : 'any'
}

/** The first words, each with what it says: a command of one word, or the group of those that begin with it. */
export function firstWords(entries: readonly Entry[]): Map<string, string> {
  const words = new Map<string, string>()
  for (const {
    words: [first],
    summary,
  } of entries) {
    const group = entries.filter((entry) => entry.words[0] === first && entry.words.length > 1)
    const seconds = group.map((entry) => entry.words[1]).join(', ')
    words.set(first as string, group.length > 0 ? seconds : summary)
  }
  return words
}

/** The entries whose first word is this one and that have a second. */
export function groupOf(entries: readonly Entry[], first: string): Entry[] {
  return entries.filter(({ words }) => words[0] === first && words.length > 1)
}

/** The spellings of every option that takes a value. */
export function valued(entries: readonly Entry[]): string[] {
  const flags = entries.flatMap((entry) => entry.flags).filter(({ value }) => value !== undefined)
  return [...new Set(flags.flatMap(spellings))].sort()
}

export function spellings({ long, short }: Flag): string[] {
  return [...(short === undefined ? [] : [`-${short}`]), `--${long}`]
}

/** A text in single quotes, for any of the three shells. */
export function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`
}

/** The names of the store's policies, one a line; nothing where the store cannot be read. */
export const POLICIES = "oci-sandbox policy list 2>/dev/null | sed -n '2,$s/ .*//p'"
