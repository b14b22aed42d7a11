/** The rules of a call in one form, whatever operators they were written with: an argument, or some bits of it, lies within ranges. */
import type { Comparison } from '../../generated/policy.ts'
import { decodeUint64 } from '../../policy/uint64.ts'

/** From the one to the other, both included. */
export interface Range {
  readonly from: bigint
  readonly to: bigint
}

export interface Condition {
  /** The same for the same argument and mask. */
  readonly key: string
  readonly index: number
  /** The bits that count. */
  readonly mask: bigint
  /** Where their value must lie: sorted, apart from each other. */
  readonly ranges: readonly Range[]
}

/** All conditions must hold: sorted, each argument and mask once. None: whatever the arguments are. */
export type Rule = readonly Condition[]

export const WHOLE = 0xffff_ffff_ffff_ffffn

/** What can be in each of the six arguments. */
export type Domains = readonly Range[]

export function domainsOf(bits: 32 | 64): Domains {
  return Array.from({ length: 6 }, () => ({ from: 0n, to: WHOLE >> BigInt(64 - bits) }))
}

/** The conditions of a rule; undefined where no call can satisfy them. */
export function ruleOf(comparisons: readonly Comparison[], domains: Domains): Rule | undefined {
  const rule: Condition[] = []
  for (const comparison of comparisons) {
    const condition = conditionOf(comparison)
    const at = rule.findIndex(({ key }) => key === condition.key)
    const known = rule[at]
    if (known === undefined) rule.push(condition)
    else rule[at] = { ...known, ranges: intersection(known.ranges, condition.ranges) }
  }
  return within(rule.sort(byArgument), domains)
}

/** The rule for calls whose arguments lie in the domains; undefined where none of them satisfies it. */
export function within(rule: Rule, domains: Domains): Rule | undefined {
  const result: Condition[] = []
  for (const condition of rule) {
    const domain = domains[condition.index] as Range
    if (condition.mask !== WHOLE) {
      if (condition.ranges.length === 0) return undefined
      result.push(condition)
      continue
    }
    const ranges = intersection(condition.ranges, [domain])
    const [first] = ranges
    if (first === undefined) return undefined
    if (first.from !== domain.from || first.to !== domain.to) result.push({ ...condition, ranges })
  }
  return result
}

function conditionOf({ index, op, value, to, mask }: Comparison): Condition {
  const operand = decodeUint64(value)
  if (op === 'masked==') {
    const bits = decodeUint64(mask ?? 0)
    if (bits !== 0n && bits !== WHOLE) {
      const ranges = (operand & ~bits) === 0n ? [{ from: operand, to: operand }] : []
      return { key: `${index} ${bits}`, index, mask: bits, ranges }
    }
    const ranges = bits === WHOLE ? rangesOf('==', operand) : operand === 0n ? [{ from: 0n, to: WHOLE }] : []
    return { key: `${index}`, index, mask: WHOLE, ranges }
  }
  if (op === 'range') {
    const bits = mask === undefined ? WHOLE : decodeUint64(mask)
    const key = bits === WHOLE ? `${index}` : `${index} ${bits}`
    return { key, index, mask: bits, ranges: [{ from: operand, to: decodeUint64(to ?? value) }] }
  }
  return { key: `${index}`, index, mask: WHOLE, ranges: rangesOf(op, operand) }
}

function rangesOf(op: Exclude<Comparison['op'], 'masked==' | 'range'>, operand: bigint): Range[] {
  switch (op) {
    case '==':
      return [{ from: operand, to: operand }]
    case '!=':
      return [...below(operand), ...above(operand)]
    case '<':
      return below(operand)
    case '<=':
      return [{ from: 0n, to: operand }]
    case '>':
      return above(operand)
    case '>=':
      return [{ from: operand, to: WHOLE }]
  }
}

function below(value: bigint): Range[] {
  return value === 0n ? [] : [{ from: 0n, to: value - 1n }]
}

function above(value: bigint): Range[] {
  return value === WHOLE ? [] : [{ from: value + 1n, to: WHOLE }]
}

export function intersection(one: readonly Range[], other: readonly Range[]): Range[] {
  const result: Range[] = []
  for (const a of one) {
    for (const b of other) {
      const { from } = a.from < b.from ? b : a
      const { to } = a.to < b.to ? a : b
      if (from <= to) result.push({ from, to })
    }
  }
  return result
}

/** The ranges of all, sorted; those that meet or overlap are one. */
export function union(ranges: readonly Range[]): Range[] {
  const result: { from: bigint; to: bigint }[] = []
  for (const { from, to } of ranges.toSorted((a, b) => compare(a.from, b.from))) {
    const last = result.at(-1)
    if (last === undefined || from > last.to + 1n) result.push({ from, to })
    else if (to > last.to) last.to = to
  }
  return result
}

export function byArgument(a: Condition, b: Condition): number {
  return a.index - b.index || compare(b.mask, a.mask)
}

export function compare(a: bigint, b: bigint): number {
  return a < b ? -1 : a > b ? 1 : 0
}
