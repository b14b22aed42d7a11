import type { AllowedSyscall, Comparison } from '../generated/policy.ts'
import { decodeUint64, encodeUint64 } from './uint64.ts'

/** What tells one entry of an architecture's list from another. */
export function syscallKey(syscall: AllowedSyscall): string {
  return syscall.name ?? `#${syscall.number}`
}

/** By name; those without a name last, by number. Code units, not a locale: the order must be the same on every machine. */
export function compareSyscalls(a: AllowedSyscall, b: AllowedSyscall): number {
  if (a.name !== undefined && b.name !== undefined) return compareText(a.name, b.name)
  if (a.name !== undefined) return -1
  if (b.name !== undefined) return 1
  return (a.number as number) - (b.number as number)
}

export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/** Rules sorted, each once, with one spelling for each value: equal sets of rules are equal text. */
export function canonicalRules(rules: Comparison[][]): Comparison[][] {
  const byText = new Map<string, Comparison[]>()
  for (const rule of rules) {
    const canonical = rule.map(canonicalComparison).sort((a, b) => compareText(JSON.stringify(a), JSON.stringify(b)))
    byText.set(JSON.stringify(canonical), canonical)
  }
  return [...byText].sort(([a], [b]) => compareText(a, b)).map(([, rule]) => rule)
}

function canonicalComparison({ index, op, value, to, mask }: Comparison): Comparison {
  const comparison: Comparison = { index, op, value: encodeUint64(decodeUint64(value)) }
  if (to !== undefined) comparison.to = encodeUint64(decodeUint64(to))
  if (mask !== undefined) comparison.mask = encodeUint64(decodeUint64(mask))
  return comparison
}
