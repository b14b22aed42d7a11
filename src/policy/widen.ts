/**
 * Learned arguments -> rules. A program that opened one file for reading will open another with O_CLOEXEC added: what was seen is
 * widened, by the kind of the argument (arguments.ts), in a way that a person can follow: each step has its reason. Pure.
 */
import type { AllowedSyscall, Comparison, LearnedArguments, PolicyDocument } from '../generated/policy.ts'
import { ARGUMENT_MASK, type Argument, argumentsOf } from './arguments.ts'
import { ARGUMENT_BITS, type ArchitectureName, architecturesOf } from './document.ts'
import { isUnrestricted } from './learned.ts'
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
  const { learned, rules, ...rest } = syscall
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
  const widened = widenLearned(learned, columns, widening, note)
  // A rule without comparisons: any arguments.
  if (widened.some((rule) => rule.length === 0)) return rest
  const bits = ARGUMENT_BITS[architecture]
  return { ...rest, rules: canonicalRules([...(rules ?? []), ...widened.map((rule) => forBits(rule, bits))]) }
}

/** On a 32-bit architecture the whole argument is compared, which needs no mask. */
function forBits(rule: Comparison[], bits: 32 | 64): Comparison[] {
  if (bits === 64) return rule
  return rule.map(({ index, value, mask, op }) =>
    mask === ARGUMENT_MASK ? { index, op: '==', value } : { index, op, value, ...(mask === undefined ? {} : { mask }) },
  )
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
  const exact = columns.map((column, at) => kept[at] === true && column.kind === 'value')
  /** The values of the exact arguments, and for the others the bits that were seen with them. */
  const groups = new Map<string, number[]>()
  for (const combination of learned.values) {
    const values = combination.map((value, at) => (value & ~(columns[at]?.harmless ?? 0)) >>> 0)
    const key = values.filter((_, at) => exact[at]).join(' ')
    const group = groups.get(key)
    if (group === undefined) groups.set(key, values)
    else for (const [at, value] of values.entries()) if (!exact[at]) group[at] = ((group[at] as number) | value) >>> 0
  }
  if (widening === 'loose') uniteFlags([...groups.values()], exact)
  for (const [at, column] of columns.entries()) noteColumn(column, at, learned, kept[at] === true, note)
  return [...groups.values()].map((group) =>
    columns.flatMap((column, at) => {
      if (kept[at] !== true) return []
      const value = group[at] as number
      return exact[at] ? [equal(column, value, column.harmless)] : within(column, value)
    }),
  )
}

/** In `loose` a flag that was seen in one combination may stand in all. */
function uniteFlags(groups: number[][], exact: readonly boolean[]): void {
  for (const [at, isExact] of exact.entries()) {
    if (isExact) continue
    const union = groups.reduce((bits, group) => (bits | (group[at] as number)) >>> 0, 0)
    for (const group of groups) group[at] = union
  }
}

function keepsColumn(
  column: Argument,
  at: number,
  { values }: LearnedArguments,
  widening: Widening,
  note: Note,
): boolean {
  if (column.kind === 'flags') return true
  const distinct = new Set(values.map((combination) => combination[at])).size
  if (distinct <= MAX_VALUES[widening]) return true
  note(column, `${distinct} values were seen, more than ${MAX_VALUES[widening]}: any value`)
  return false
}

function noteColumn(column: Argument, at: number, { values }: LearnedArguments, kept: boolean, note: Note): void {
  if (!kept) return
  const seen = new Set(values.map((combination) => combination[at] as number))
  if (column.kind === 'flags' && seen.size > 1)
    note(column, `flags that were seen (${seen.size} combinations) in any combination`)
  if (column.harmless !== undefined)
    note(column, `bits 0x${column.harmless.toString(16)} give no power: they do not matter`)
}

function equal({ index }: Argument, value: number, harmless = 0): Comparison {
  return { index, op: 'masked==', mask: (ARGUMENT_MASK & ~harmless) >>> 0, value }
}

/** No bit but those. */
function within({ index, harmless = 0 }: Argument, bits: number): Comparison[] {
  const mask = (ARGUMENT_MASK & ~(bits | harmless)) >>> 0
  return mask === 0 ? [] : [{ index, op: 'masked==', mask, value: 0 }]
}
