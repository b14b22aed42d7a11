/** Why a policy allows a call, or why not. Pure. */
import type { AllowedSyscall, Comparison } from '../generated/policy.ts'
import { ARGUMENT_BITS, type ArchitectureName } from '../policy/document.ts'
import { decodeUint64 } from '../policy/uint64.ts'
import { argumentText } from './call-text.ts'
import { holds, type Verdict } from './evaluate.ts'

export interface RuleVerdict {
  readonly rule: readonly Comparison[]
  /** The comparisons that do not hold; none: the rule allows the call. */
  readonly failing: readonly Comparison[]
}

export interface Explanation {
  readonly verdict: Verdict
  /** In one sentence. */
  readonly why: string
  /** Of a call that is allowed with certain arguments only. */
  readonly rules: readonly RuleVerdict[]
}
