/**
 * A policy of one architecture -> one of another: calls by name, or by what does the same there (translate-calls.ts), arguments where they mean
 * the same (translate-arguments.ts). What cannot be carried over is left out, or widened where that is asked for, and said. Pure.
 */
import type { AllowedSyscall, Comparison, LearnedArguments, PolicyDocument } from '../generated/policy.ts'
import { argumentsOf } from './arguments.ts'
import { type ArchitectureName, canonicalPolicy } from './document.ts'
import { kernelCalls } from './kernel-calls.ts'
import { canonicalLearned, isUnrestricted, MAX_LEARNED } from './learned.ts'
import { mergeCalls } from './merge.ts'
import type { SyscallNames } from './names.ts'
import { Notes } from './notes.ts'
import { satisfies } from './rules.ts'
import { withSiblings } from './siblings.ts'
import { THREAD_AREA } from './startable.ts'
import { syscallKey } from './syscalls.ts'
import { carryComparison, carryValues, type Way } from './translate-arguments.ts'
import { equivalentsOf, movedArguments, multiplexed, SIGCHLD, sameOrder, VFORK_FLAGS } from './translate-calls.ts'
import { widenPolicy } from './widen.ts'

export interface TranslateOptions extends Way {
  /** Allow calls with any arguments where theirs cannot be carried over. */
  readonly widen: boolean
  /** Add the siblings of what the result has. */
  readonly siblings: boolean
}

export interface Translation {
  readonly policy: PolicyDocument
  /** What is not as it was, a line each. */
  readonly notes: readonly string[]
}

/** The policy with a list for `to` alone, made of its list for `from`, without runs: nobody has seen it work there. */
export function translatePolicy(
  policy: PolicyDocument,
  options: TranslateOptions,
  names: Pick<SyscallNames, 'numberOf' | 'highest'>,
): Translation {
  const { from, to } = options
  const own = policy.architectures[from]
  const result = new Translator(policy, options, names)
  for (const call of own?.syscalls ?? []) if (call.via === undefined) result.carry(call)
  result.addNeeded()
  const architectures = { [to]: { known: knownThere(own?.known ?? 0, options, names), syscalls: result.calls } }
  const translated = canonicalPolicy({ ...policy, architectures, runs: [] })
  return { policy: options.siblings ? withSiblings(translated, names) : translated, notes: result.notes.lines }
}

/** From Linux 5.1 on a new call has the same number on x86 and ARM: as many of the last ones are unknown here as there. */
function knownThere(known: number, { from, to }: Way, { highest }: Pick<SyscallNames, 'highest'>): number {
  const common: readonly ArchitectureName[] = ['x86_64', 'x86', 'aarch64']
  if (!common.includes(from) || !common.includes(to)) return highest(to)
  return highest(to) - Math.min(highest(to), Math.max(0, highest(from) - known))
}

/** A call that may be made, with any arguments or with those that the comparisons say. */
type Target = readonly [name: string, ...rule: Comparison[]]

/** By index, where an argument stands there. */
type Moved = Readonly<Record<number, number>>

class Translator {
  readonly notes = new Notes()
  readonly #policy: PolicyDocument
  readonly #options: TranslateOptions
  readonly #names: Pick<SyscallNames, 'numberOf'>
  readonly #calls = new Map<string, AllowedSyscall>()

  constructor(policy: PolicyDocument, options: TranslateOptions, names: Pick<SyscallNames, 'numberOf'>) {
    this.#policy = policy
    this.#options = options
    this.#names = names
  }

  get calls(): AllowedSyscall[] {
    return [...this.#calls.values()]
  }

  /** A call that the policy allows here. */
  carry(call: AllowedSyscall): void {
    const { to, widen } = this.#options
    const { name } = call
    const parts = name === undefined ? undefined : multiplexed(name)
    if (name === undefined) this.notes.add('calls without a name (left out)', syscallKey(call))
    else if (parts !== undefined && !this.#has(to, name)) this.#carryParts(call, parts)
    else {
      const targets = this.#targetsOf(name)
      const carried = targets.filter((target) => this.#put(call, target, false))
      if (carried.length === 0 && widen) carried.push(...targets.filter((target) => this.#put(call, target, true)))
      this.#noteCarried(
        name,
        targets.length > 0,
        carried.map(([target]) => target),
      )
      if (name === 'clone') this.#carryForks(call)
    }
  }

  /** What every program of the architecture needs, and the other one did not. */
  addNeeded(): void {
    const { to } = this.#options
    const area = THREAD_AREA[to]
    if (area !== undefined && !this.#calls.has(area)) {
      this.#calls.set(area, { name: area })
      this.notes.add(`added, as programs of ${to} set up thread-local storage with it`, area)
    }
    for (const name of kernelCalls(to)) if (!this.#calls.has(name)) this.#calls.set(name, { name })
  }

  /** The calls that may be made there: the one of the same name, and those that only the other architecture has. */
  #targetsOf(name: string): Target[] {
    const { from, to } = this.#options
    const same = this.#has(to, name)
    const others = equivalentsOf(name)
      .map((standIn) => (typeof standIn === 'string' ? ([standIn] as const) : standIn))
      .filter(([other]) => this.#has(to, other) && !(same && this.#has(from, other)))
    return same ? [[name], ...others] : others
  }

  #has(architecture: ArchitectureName, name: string): boolean {
    return this.#names.numberOf(architecture, name) !== undefined
  }

  /** `possible`: whether there are calls for it at all. */
  #noteCarried(name: string, possible: boolean, carried: readonly string[]): void {
    const { from, to } = this.#options
    const needless = name === THREAD_AREA[from] || kernelCalls(from).includes(name)
    if (!possible) this.notes.add(needless ? `not needed on ${to}` : `no call of ${to} does the same (left out)`, name)
    else if (carried.length === 0)
      this.notes.add(`allowed with arguments that cannot be said on ${to} (left out)`, name)
    else if (!this.#has(to, name)) this.notes.add(`made as other calls on ${to}`, `${name} -> ${carried.join(', ')};`)
  }

  /** Puts a call under a name there; false where its arguments are such that it cannot be. `widen`: then with any, or with those of the target. */
  #put(call: AllowedSyscall, [target, ...rule]: Target, widen: boolean): boolean {
    const own = { name: target, ...whatPeopleSaid(call) }
    const restricted = isUnrestricted(call) || widen ? undefined : this.#restricted(call, own, rule)
    if (!isUnrestricted(call) && !widen && restricted === undefined) return false
    if (widen) this.notes.add(`widened to ${rule.length === 0 ? 'any arguments' : 'those that do the same'}`, target)
    const carried = restricted ?? { ...own, ...(rule.length === 0 ? {} : { rules: [[...rule]] }) }
    const before = this.#calls.get(target)
    this.#calls.set(target, before === undefined ? carried : mergeCalls(before, carried))
    return true
  }

  /** With the arguments that mean the same there; undefined where none do. */
  #restricted(call: AllowedSyscall, plain: AllowedSyscall, rule: readonly Comparison[]): AllowedSyscall | undefined {
    const [name, target] = [call.name as string, plain.name as string]
    const moved = name === target ? undefined : movedArguments(name, target)
    if (rule.length > 0 || (name !== target && moved === undefined)) return undefined
    const learned = this.#learned(call, target, moved)
    const rules = (call.rules ?? []).flatMap((one) => this.#rule(name, target, one, moved) ?? [])
    if (learned === undefined && rules.length === 0) return undefined
    return { ...plain, ...(learned === undefined ? {} : { learned }), ...(rules.length === 0 ? {} : { rules }) }
  }

  #learned({ name, learned }: AllowedSyscall, target: string, moved: Moved | undefined): LearnedArguments | undefined {
    if (learned === undefined) return undefined
    const call = name as string
    const there = argumentsOf(this.#options.to, target)
    const indexes = learned.arguments.map((index) => (moved === undefined ? index : moved[index]))
    if (!indexes.every((index) => there.some((argument) => argument.index === index))) return undefined
    const values: number[][] = []
    for (const combination of learned.values) {
      const carried = carryValues(call, learned.arguments, combination, this.#options)
      if (carried.length === 0)
        this.notes.add(
          `arguments that mean something else on ${this.#options.to} (left out)`,
          `${call}(${combination})`,
        )
      values.push(...carried.map((one) => [...one]))
    }
    if (values.length === 0) return undefined
    const result: LearnedArguments = canonicalLearned({ arguments: indexes as number[], values })
    return result.values.length > MAX_LEARNED ? undefined : result
  }

  /** A rule as alternatives; undefined where a comparison of it cannot be carried over. */
  #rule(
    call: string,
    target: string,
    rule: readonly Comparison[],
    moved: Moved | undefined,
  ): Comparison[][] | undefined {
    const { from, to } = this.#options
    const isKnown = (architecture: ArchitectureName, name: string, place: number | undefined) =>
      argumentsOf(architecture, name).some(({ index }) => index === place)
    let rules: Comparison[][] = [[]]
    for (const comparison of rule) {
      const index = moved === undefined ? comparison.index : moved[comparison.index]
      const known = isKnown(from, call, comparison.index) && isKnown(to, target, index)
      const ordered = known || (moved === undefined && sameOrder(call, comparison.index, from, to))
      const choices =
        ordered && index !== undefined ? carryComparison(call, comparison, known, this.#options) : undefined
      if (choices === undefined) {
        this.notes.add(`argument rules that mean something else on ${to} (left out)`, call)
        return undefined
      }
      rules = rules.flatMap((before) => choices.map((choice) => [...before, { ...choice, index: index as number }]))
    }
    return rules
  }

  /** The calls that a multiplexer stands for, as far as its first argument is allowed. */
  #carryParts(call: AllowedSyscall, parts: Readonly<Record<number, string>>): void {
    const { name } = call
    const made: string[] = []
    for (const [number, part] of Object.entries(parts)) {
      if (!this.#allows(call, BigInt(number))) continue
      this.carry({ name: part, ...whatPeopleSaid(call) })
      made.push(part)
    }
    this.notes.add(`made as other calls on ${this.#options.to}`, `${name} -> ${made.join(', ')};`)
  }

  /** Where a clone that does what fork does is allowed, a C library there may call fork itself. */
  #carryForks(call: AllowedSyscall): void {
    const { from, to } = this.#options
    for (const [name, flags] of [
      ['fork', SIGCHLD],
      ['vfork', VFORK_FLAGS],
    ] as const) {
      if (!this.#has(to, name) || this.#has(from, name) || !this.#allows(call, BigInt(flags))) continue
      this.#calls.set(name, mergeCalls(this.#calls.get(name) ?? { name }, { name }))
      this.notes.add(`made as other calls on ${to}`, `clone -> ${name};`)
    }
  }

  /** Whether the call is allowed with this first argument, and some others. */
  #allows(call: AllowedSyscall, first: bigint): boolean {
    const alone = { ...this.#policy, architectures: { [this.#options.from]: { known: 0, syscalls: [call] } } }
    const rules = widenPolicy(alone).architectures[this.#options.from]?.syscalls[0]?.rules
    const fits = (rule: Comparison[]) => rule.every((one) => one.index !== 0 || satisfies(one, first))
    return rules === undefined || rules.some(fits)
  }
}

/** Of a call what goes with it wherever it goes; the count says which calls the filter looks for first. */
function whatPeopleSaid({ count, reasons, comments, widening }: AllowedSyscall): Partial<AllowedSyscall> {
  return {
    ...(count === undefined ? {} : { count }),
    ...(reasons === undefined ? {} : { reasons }),
    ...(comments === undefined ? {} : { comments }),
    ...(widening === undefined ? {} : { widening }),
  }
}
