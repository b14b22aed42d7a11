/** What the readers of other programs' files put together: calls by architecture, and what could not be taken over. */
import type { AllowedSyscall, Architecture, Comparison } from '../../generated/policy.ts'
import { ARGUMENT_BITS, type ArchitectureName } from '../document.ts'
import type { SyscallNames } from '../names.ts'
import { Notes } from '../notes.ts'
import { narrowed, ofLowHalves } from '../rules.ts'
import { canonicalRules } from '../syscalls.ts'
import { restOf } from '../translate-calls.ts'
import { decodeUint64 } from '../uint64.ts'

/** What a policy can hold as a number: without a sign, 31 bits. */
const MAX_NUMBER = 0x7fff_ffff

export interface Details {
  readonly count?: number
  /** Alternatives; absent: any arguments. */
  readonly rules?: Comparison[][]
}

/** A call of one architecture. */
interface Call {
  readonly name?: string
  readonly number?: number
  count: number | undefined
  rules: Comparison[][] | undefined
}

export class Collector {
  readonly names: SyscallNames
  /** Names that no architecture has, with the place where each was first read. */
  readonly unknown = new Map<string, string>()
  readonly #calls = new Map<ArchitectureName, Map<string, Call>>()
  readonly #notes = new Notes()

  /** Whether a name of another architecture is an error: somebody saw the call, so it must be one of this architecture. */
  readonly #observed: boolean

  constructor(names: SyscallNames, options: { observed: boolean }) {
    this.names = names
    this.#observed = options.observed
  }

  /** Says that a part of the file is not in the result. Notes of one text are one note, with all their objects. */
  note(text: string, object?: string): void {
    this.#notes.add(text, object)
  }

  /** An architecture that has a list, even an empty one. */
  architecture(architecture: ArchitectureName): void {
    if (!this.#calls.has(architecture)) this.#calls.set(architecture, new Map())
  }

  /** Adds a call by name; `at` says where it was read. A name of another architecture is noted, an unknown one remembered. */
  add(architecture: ArchitectureName, name: string, at: string, details: Details = {}): void {
    if (this.names.numberOf(architecture, name) !== undefined) this.#put(architecture, { name }, details)
    else if (!this.#observed && this.names.exists(name)) this.note(`not a call of ${architecture}`, name)
    else if (!this.unknown.has(name))
      this.unknown.set(name, this.names.exists(name) ? `${at}: not a call of ${architecture}` : at)
  }

  /** Adds a call by the number that a filter sees (x32: with bit 30). Numbers that no kernel can have are left out: they end in ENOSYS. */
  addNumber(architecture: ArchitectureName, number: number, details: Details = {}): void {
    if (!Number.isInteger(number) || number < 0 || number > MAX_NUMBER) {
      this.note('no kernel has such a number', String(number))
      return
    }
    const name = this.names.nameOf(architecture, number)
    this.#put(architecture, name === undefined ? { number } : { name }, details)
  }

  has(architecture: ArchitectureName, name: string): boolean {
    return this.#calls.get(architecture)?.has(name) ?? false
  }

  /** Takes a call out again. */
  remove(architecture: ArchitectureName, name: string): void {
    this.#calls.get(architecture)?.delete(name)
  }

  /** Takes `times` calls back; where none are left, the call itself. */
  take(architecture: ArchitectureName, name: string, times: number): void {
    const call = this.#calls.get(architecture)?.get(name)
    if (call?.count === undefined) return
    call.count -= times
    if (call.count > 0) return
    this.remove(architecture, name)
    if (this.#calls.get(architecture)?.size === 0) this.#calls.delete(architecture)
  }

  get empty(): boolean {
    return [...this.#calls.values()].every((calls) => calls.size === 0)
  }

  /** The notes, one line each, sorted. */
  get notes(): string[] {
    return this.#notes.lines
  }

  architectures(): Partial<Record<ArchitectureName, Architecture>> {
    return Object.fromEntries(
      [...this.#calls].map(([architecture, calls]) => [
        architecture,
        { known: this.names.highest(architecture), syscalls: [...calls.values()].map(entry) },
      ]),
    )
  }

  #put(architecture: ArchitectureName, identity: Pick<Call, 'name' | 'number'>, { count, rules }: Details): void {
    this.architecture(architecture)
    const calls = this.#calls.get(architecture) as Map<string, Call>
    const key = identity.name ?? `#${identity.number}`
    const own = ARGUMENT_BITS[architecture] === 64 ? rules : rules?.map((rule) => rule.map(narrowed))
    const fits = own?.filter((rule) => this.#fits(architecture, rule, key))
    // Whoever filters by names and profiles compares the low halves of x32's arguments (libseccomp).
    const fitting = architecture === 'x32' && fits !== undefined ? ofLowHalves(fits) : fits
    if (fitting?.length === 0) return
    const before = calls.get(key)
    if (before === undefined) {
      calls.set(key, { ...identity, count, rules: fitting })
      return
    }
    if (count !== undefined) before.count = (before.count ?? 0) + count
    before.rules = before.rules === undefined || fitting === undefined ? undefined : [...before.rules, ...fitting]
  }

  /** Whether a rule can hold at all: its values fit the architecture's arguments. Left out, it makes the policy narrower. */
  #fits(architecture: ArchitectureName, rule: readonly Comparison[], call: string): boolean {
    const bits = BigInt(ARGUMENT_BITS[architecture])
    for (const { value, mask } of rule) {
      if ([value, mask ?? 0].some((number) => decodeUint64(number) >> bits !== 0n)) {
        this.note(`an argument rule with values that do not fit ${bits} bits (${architecture})`, call)
        return false
      }
      if (mask !== undefined && (decodeUint64(value) & ~decodeUint64(mask)) !== 0n) {
        this.note('an argument rule that never holds', call)
        return false
      }
    }
    return true
  }
}

function entry({ name, number, count, rules }: Call): AllowedSyscall {
  return {
    ...(name === undefined ? { number: number as number } : { name }),
    ...(count === undefined ? {} : { count }),
    ...(rules === undefined ? {} : { rules: canonicalRules(rules) }),
  }
}

/** Adds what a list that allows by default leaves of a call that it does not name. */
export function addRest(
  into: Collector,
  architecture: ArchitectureName,
  name: string,
  at: string,
  isRefused: (call: string) => boolean,
): void {
  const rules = restOf(architecture, name, isRefused)
  if (rules !== undefined)
    into.note(`what ${architecture}'s other calls are refused is refused through these, too`, name)
  if (rules?.length !== 0) into.add(architecture, name, at, rules === undefined ? {} : { rules })
}
