/** What is laid out: the calls of one ABI. */
import type { Domains, Rule } from './rules.ts'

export interface RuledCall {
  /** For messages. */
  readonly label: string
  readonly number: number
  /** How often it is made, against the others. */
  readonly weight: number
  /** Must be judged by the program that is installed last: whoever installs filters one by one needs this call meanwhile. */
  readonly last: boolean
  readonly rules: readonly Rule[]
  readonly domains: Domains
}

export interface Abi {
  /** AUDIT_ARCH_* of linux/audit.h. */
  readonly audit: number
  /** The numbers of this ABI: from the first one up to `end`, which is not one. */
  readonly start: number
  readonly end: number
  /** Numbers above it get ENOSYS, unless they are named or ruled. Undefined: none does. */
  readonly known: number | undefined
  /** The weights of the calls, by number, that are left to the program behind. */
  readonly named: ReadonlyMap<number, number>
  readonly ruled: readonly RuledCall[]
}
