/** Why a policy allows a call, or why not. Pure. */
import type { AllowedSyscall, Comparison } from '../generated/policy.ts'
import { decodeUint64 } from '../policy/uint64.ts'
import { argumentText } from './call-text.ts'
import { evaluate, holds, type ResolvedArchitecture, type Verdict } from './evaluate.ts'

export interface Explanation {
  readonly verdict: Verdict
  /** One or more lines. */
  readonly why: readonly string[]
}

/** More rules than this that do not hold are counted, not listed. */
const MAX_RULES = 20

/**
 * `architecture`: the call's, where the policy has it; `entry`: the call's, where the policy has one; `others`: the policy's other
 * architectures that allow a call of this name.
 */
export function explain(
  architecture: ResolvedArchitecture | undefined,
  entry: AllowedSyscall | undefined,
  number: number,
  args: readonly bigint[],
  others: readonly string[],
): Explanation {
  const elsewhere =
    others.length === 0 ? [] : [`it is allowed for ${others.join(', ')}, which is not the ABI of this call`]
  if (architecture === undefined)
    return {
      verdict: 'refuse',
      why: ['the policy does not name this architecture, so all of its calls are refused', ...elsewhere],
    }
  const verdict = evaluate(architecture, number, args)
  const rules = architecture.allowed.get(number)
  if (rules === undefined) return { verdict, why: [missing(architecture, verdict), ...elsewhere] }
  if (rules === null) return { verdict, why: ['it is allowed with any arguments'] }
  if (verdict === 'allow') {
    const rule = rules.find((candidate) => candidate.every((comparison) => holds(comparison, args)))
    return { verdict, why: [`it is allowed where ${ruleText(rule ?? [])}`] }
  }
  const listed = rules.slice(0, MAX_RULES).map((rule) => `  ${ruleText(rule)}; but ${failing(rule, args)}`)
  const rest = rules.length > MAX_RULES ? [`  and ${rules.length - MAX_RULES} more`] : []
  const what = entry?.rules === undefined ? 'as it was learned' : 'by its rules'
  return {
    verdict,
    why: [`it is allowed with certain arguments only, ${what}, and not with these:`, ...listed, ...rest],
  }
}

function missing({ known }: ResolvedArchitecture, verdict: Verdict): string {
  return verdict === 'enosys'
    ? `it is newer than the policy, which knows numbers up to ${known}: the program is told that there is no such call`
    : 'it is not in the policy: no run made it'
}

/** "argument 0 == 2 and (argument 1 & 0xff) == 5". */
function ruleText(rule: readonly Comparison[]): string {
  return rule.map(comparisonText).join(' and ')
}

function comparisonText({ index, op, value, to, mask }: Comparison): string {
  const operand = argumentText(decodeUint64(value))
  if (op === 'masked==') return `argument ${index} & 0x${decodeUint64(mask ?? 0).toString(16)} == ${operand}`
  if (op === 'range') {
    const looked = mask === undefined ? '' : ` & 0x${decodeUint64(mask).toString(16)}`
    return `argument ${index}${looked} is ${operand} to ${argumentText(decodeUint64(to ?? value))}`
  }
  return `argument ${index} ${op} ${operand}`
}

function failing(rule: readonly Comparison[], args: readonly bigint[]): string {
  const wrong = rule.filter((comparison) => !holds(comparison, args)).map(({ index }) => index)
  return [...new Set(wrong)].map((index) => `argument ${index} is ${argumentText(args[index] ?? 0n)}`).join(', ')
}
