/**
 * Learned arguments -> rules. A program that opened one file for reading will open another with O_CLOEXEC added: what was seen is
 * widened, by the kind of the argument (arguments.ts), in a way that a person can follow: each step has its reason. Pure.
 */
import type { AllowedSyscall, Comparison, LearnedArguments, PolicyDocument } from '../generated/policy.ts'
import { ARGUMENT_MASK, type Argument, argumentsOf, type ValueRange } from './arguments.ts'
import { ARGUMENT_BITS, type ArchitectureName, architecturesOf } from './document.ts'
import { isUnrestricted } from './learned.ts'
import { narrowed } from './rules.ts'
import { canonicalRules, syscallKey } from './syscalls.ts'

/** From the narrowest to the widest. */
export const WIDENINGS = ['strict', 'balanced', 'loose'] as const
export type Widening = (typeof WIDENINGS)[number]
export const DEFAULT_WIDENING: Widening = 'balanced'

/** One step from what was seen to what is allowed. */
export interface WideningStep {
  readonly architecture: ArchitectureName
  readonly syscall: string
  /** Absent: it is about the call as a whole. */
  readonly argument?: { readonly index: number; readonly name: string }
  readonly reason: string
}

/** More values of one argument than this say that it can be anything; in `strict` nothing says so. */
const MAX_VALUES: Record<Widening, number> = { strict: Number.POSITIVE_INFINITY, balanced: 2500, loose: 64 }

/**
 * The policy with its learned arguments turned into rules: what compilers, exporters and proofs work on. `steps` collects what was
 * widened.
 */
export function widenPolicy(policy: PolicyDocument, steps: WideningStep[] = []): PolicyDocument {
  const widening = policy.widening ?? DEFAULT_WIDENING
  const architectures: PolicyDocument['architectures'] = {}
  for (const [architecture, { known, syscalls }] of architecturesOf(policy)) {
    architectures[architecture] = {
      known,
      syscalls: syscalls.map((syscall) => widenSyscall(architecture, syscall, widening, steps)),
    }
  }
  const { widening: _, ...rest } = policy
  return { ...rest, architectures }
}

function widenSyscall(
  architecture: ArchitectureName,
  syscall: AllowedSyscall,
  widening: Widening,
  steps: WideningStep[],
): AllowedSyscall {
  const { learned, rules, widening: own, ...rest } = syscall
  if (isUnrestricted(syscall) || learned === undefined) return syscall
  const key = syscallKey(syscall)
  const known = argumentsOf(architecture, key)
  const columns = learned.arguments.map(
    (index) =>
      known.find((argument) => argument.index === index) ?? { index, kind: 'value', name: `argument ${index}` },
  ) as Argument[]
  const note = (argument: Argument | undefined, reason: string) => {
    const about = argument === undefined ? {} : { argument: { index: argument.index, name: argument.name } }
    steps.push({ architecture, syscall: key, ...about, reason })
  }
  const widened = widenLearned(learned, columns, own ?? widening, note)
  // A rule without comparisons: any arguments.
  if (widened.some((rule) => rule.length === 0)) return rest
  const made = widened.map((rule) => forArchitecture(rule, architecture))
  return { ...rest, rules: canonicalRules([...(rules ?? []), ...made]) }
}

/** Where a register holds no more than 32 bits, the whole argument is compared, which needs no mask. Those of x32 hold 64. */
function forArchitecture(rule: Comparison[], architecture: ArchitectureName): Comparison[] {
  return architecture === 'x32' || ARGUMENT_BITS[architecture] === 64 ? rule : rule.map(narrowed)
}

type Note = (argument: Argument | undefined, reason: string) => void

function widenLearned(
  learned: LearnedArguments,
  columns: readonly Argument[],
  widening: Widening,
  note: Note,
): Comparison[][] {
  if (widening === 'strict')
    return learned.values.map((values) => columns.map((column, at) => equal(column, values[at] as number)))
  const kept = columns.map((column, at) => keepsColumn(column, at, learned, widening, note))
  /** By the values of the exact arguments: what was seen with them of the others. */
  const groups = new Map<string, (number | Seen)[]>()
  for (const combination of learned.values) {
    const values = combination.map((value, at) => seenOf(columns[at] as Argument, kept[at] === true, value))
    const key = values.map(keyOf).join(' ')
    const group = groups.get(key)
    if (group === undefined) groups.set(key, values)
    else for (const [at, value] of values.entries()) group[at] = unite(group[at] as Seen, value as Seen)
  }
  if (widening === 'loose') loosen([...groups.values()])
  for (const [at, column] of columns.entries()) noteColumn(column, at, learned, kept[at] === true, widening, note)
  return [...groups.values()].flatMap((group) =>
    columns.reduce<Comparison[][]>(
      (rules, column, at) => {
        if (kept[at] !== true) return rules
        const choices = comparisonsOf(column, group[at] as number | Seen)
        return rules.flatMap((rule) => choices.map((choice) => [...rule, ...choice]))
      },
      [[]],
    ),
  )
}

/** What was seen of an argument beside the exact ones: bits, or values of one range, from the least to the greatest (as int). */
type Seen = { readonly bits: number } | { readonly range: ValueRange; readonly from: number; readonly to: number }

/** A number: an exact value. */
function seenOf(column: Argument, kept: boolean, value: number): number | Seen {
  if (!kept) return { bits: 0 }
  const looked = (value & ~(column.harmless ?? 0)) >>> 0
  if (column.kind === 'flags') return { bits: looked }
  const range = rangeOf(column, looked)
  return range === undefined ? looked : { range, from: looked | 0, to: looked | 0 }
}

function rangeOf({ ranges = [] }: Argument, value: number): ValueRange | undefined {
  return ranges.find(({ from, to }) => (value | 0) >= from && (value | 0) <= to)
}

/** The same for what may become one. */
function keyOf(seen: number | Seen): string {
  if (typeof seen === 'number') return String(seen)
  return 'bits' in seen ? 'bits' : `range ${seen.range.from}`
}

/** Of one key. */
function unite(a: number | Seen, b: number | Seen): number | Seen {
  if (typeof a === 'number' || typeof b === 'number') return a
  if ('bits' in a && 'bits' in b) return { bits: (a.bits | b.bits) >>> 0 }
  if ('range' in a && 'range' in b) return { ...a, from: Math.min(a.from, b.from), to: Math.max(a.to, b.to) }
  return a
}

/** In `loose` a flag that was seen in one combination may stand in all, and a range reaches as far as it gives no more power. */
function loosen(groups: (number | Seen)[][]): void {
  for (const at of groups[0]?.keys() ?? []) {
    const united = new Map<string, number | Seen>()
    for (const group of groups) {
      const seen = group[at] as number | Seen
      const other = united.get(keyOf(seen))
      united.set(keyOf(seen), other === undefined ? seen : unite(other, seen))
    }
    for (const group of groups) group[at] = whole(united.get(keyOf(group[at] as number | Seen)) as number | Seen)
  }
}

function whole(seen: number | Seen): number | Seen {
  if (typeof seen === 'number' || 'bits' in seen) return seen
  const { range, from } = seen
  return { range, from: range.falling === true ? from : range.from, to: range.to }
}

function keepsColumn(
  column: Argument,
  at: number,
  { values }: LearnedArguments,
  widening: Widening,
  note: Note,
): boolean {
  if (column.kind === 'flags') return true
  const distinct = new Set(values.map((combination) => keyOf(seenOf(column, true, combination[at] as number)))).size
  if (distinct <= MAX_VALUES[widening]) return true
  note(column, `${distinct} values were seen, more than ${MAX_VALUES[widening]}: any value`)
  return false
}

function noteColumn(
  column: Argument,
  at: number,
  { values }: LearnedArguments,
  kept: boolean,
  widening: Widening,
  note: Note,
): void {
  if (!kept) return
  const seen = new Set(values.map((combination) => combination[at] as number))
  if (column.kind === 'flags' && seen.size > 1)
    note(column, `flags that were seen (${seen.size} combinations) in any combination`)
  if (column.harmless !== undefined)
    note(column, `bits 0x${column.harmless.toString(16)} give no power: they do not matter`)
  for (const range of column.ranges ?? []) {
    const inside = [...seen].filter((value) => rangeOf(column, value) === range).length
    if (widening === 'balanced' && inside > 1)
      note(column, `${inside} values of a range were seen: those from the least to the greatest`)
    if (widening === 'loose' && inside > 0)
      note(column, `a value of a range was seen: all of it${range.falling ? ' that give no more power' : ''}`)
  }
}

/** Alternatives, each of which is comparisons of this argument; none of them: any value. */
function comparisonsOf(column: Argument, seen: number | Seen): Comparison[][] {
  if (typeof seen === 'number') return [[equal(column, seen, column.harmless)]]
  if ('bits' in seen) return [within(column, seen.bits)]
  const { from, to } = seen
  // As unsigned numbers those below 0 lie above all others.
  if (from < 0 && to >= 0) return [[between(column, from, -1)], [between(column, 0, to)]]
  return [[between(column, from, to)]]
}

function equal({ index }: Argument, value: number, harmless = 0): Comparison {
  return { index, op: 'masked==', mask: (ARGUMENT_MASK & ~harmless) >>> 0, value }
}

function between(argument: Argument, from: number, to: number): Comparison {
  if (from === to) return equal(argument, from >>> 0)
  return { index: argument.index, op: 'range', mask: ARGUMENT_MASK, value: from >>> 0, to: to >>> 0 }
}

/** No bit but those. */
function within({ index, harmless = 0 }: Argument, bits: number): Comparison[] {
  const mask = (ARGUMENT_MASK & ~(bits | harmless)) >>> 0
  return mask === 0 ? [] : [{ index, op: 'masked==', mask, value: 0 }]
}
