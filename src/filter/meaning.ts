/** What a policy says of every call there is, in the form that a filter's meaning has (regions.ts). The plain semantics is evaluate.ts. */
import type { Comparison } from '../generated/policy.ts'
import type { ViolationAction } from '../oci/annotations.ts'
import { decodeUint64 } from '../policy/uint64.ts'
import { ENOSYS, RET_ALLOW, RET_ERRNO, VIOLATION } from './actions.ts'
import { ARCHITECTURES, auditArch, numberSpaceEnd, numberSpaceStart, registerBits } from './architectures.ts'
import { MAX_WORD } from './calls.ts'
import { type Diagram, FALSE, levelOfArgument, TRUE } from './diagram.ts'
import type { ResolvedArchitecture } from './evaluate.ts'
import { type ArchRegions, arrange, type Regions } from './regions.ts'

/** What the kernel is to do for a call that is allowed, refused, or newer than the policy. */
export interface Verdicts {
  readonly allow: number
  readonly refuse: number
  readonly enosys: number
}

/** Values that filters return. */
export function verdictsOf(violation: ViolationAction): Verdicts {
  const refuse = VIOLATION[violation].returns
  // "log" lets a violation pass, so newer calls pass as well.
  return { allow: RET_ALLOW, refuse, enosys: violation === 'log' ? refuse : RET_ERRNO | ENOSYS }
}

/**
 * The numbers of an architecture that are not its own (x32's on x86-64, where the policy has no x32; -1, which is no call) and all
 * architectures that the policy does not name are refused.
 */
export function meaningOf(
  diagram: Diagram,
  architectures: readonly ResolvedArchitecture[],
  violation: ViolationAction,
): Regions {
  const verdicts = verdictsOf(violation)
  const ends = {
    allow: diagram.end(verdicts.allow),
    refuse: diagram.end(verdicts.refuse),
    enosys: diagram.end(verdicts.enosys),
  }
  const byAudit = new Map<number, { from: number; node: number }[]>()
  for (const name of ARCHITECTURES) {
    const architecture = architectures.find((candidate) => candidate.name === name)
    if (architecture === undefined) continue
    const audit = auditArch(name)
    const ranges = byAudit.get(audit) ?? [{ from: 0, node: ends.refuse }]
    byAudit.set(audit, ranges)
    ranges.push(...numbersOf(diagram, architecture, ends))
    ranges.push({ from: numberSpaceEnd(name), node: ends.refuse })
  }
  return withoutGaps(byAudit, ends.refuse)
}

/** The ranges of one architecture's own numbers. */
function numbersOf(diagram: Diagram, { name, known, allowed }: ResolvedArchitecture, ends: Verdicts) {
  const [start, end] = [numberSpaceStart(name), numberSpaceEnd(name)]
  const ranges: { from: number; node: number }[] = []
  const others = (from: number, to: number) => {
    if (from <= to && from <= known) ranges.push({ from, node: ends.refuse })
    if (to > known) ranges.push({ from: Math.max(from, known + 1), node: ends.enosys })
  }
  let next = start
  for (const number of [...allowed.keys()].sort((a, b) => a - b)) {
    if (number < start || number >= end) continue
    others(next, number - 1)
    const rules = allowed.get(number)
    const node = rules ? rulesNode(diagram, rules, registerBits(name), ends) : ends.allow
    ranges.push({ from: number, node })
    next = number + 1
  }
  others(next, end - 1)
  return ranges
}

function withoutGaps(byAudit: ReadonlyMap<number, { from: number; node: number }[]>, refuse: number): Regions {
  const regions: ArchRegions[] = []
  let next = 0
  for (const [audit, ranges] of [...byAudit].sort(([a], [b]) => a - b)) {
    if (audit > next) regions.push({ from: next, to: audit - 1, starts: [0], nodes: [refuse] })
    regions.push(arrange(audit, audit, ranges))
    next = audit + 1
  }
  regions.push({ from: next, to: MAX_WORD, starts: [0], nodes: [refuse] })
  return regions
}

function rulesNode(diagram: Diagram, rules: readonly Comparison[][], bits: 32 | 64, ends: Verdicts): number {
  return diagram.select(anyRule(diagram, rules, bits), ends.allow, ends.refuse)
}

/**
 * The condition "all comparisons of a rule hold". Rules that want one of many values of an argument, as learned ones do, are taken
 * together: put in one by one, each would be compared with all before it, bit by bit.
 */
function anyRule(diagram: Diagram, rules: readonly Comparison[][], bits: 32 | 64): number {
  const byIndex = new Map<number, Map<bigint, Comparison[][]>>()
  let condition = FALSE
  for (const rule of rules) {
    const [first, ...rest] = [...rule].sort((a, b) => a.index - b.index)
    if (first?.op !== '==' || rest[0]?.index === first.index) {
      condition = diagram.select(ruleNode(diagram, rule, bits), TRUE, condition)
      continue
    }
    const byValue = byIndex.get(first.index) ?? new Map<bigint, Comparison[][]>()
    byIndex.set(first.index, byValue)
    const value = decodeUint64(first.value)
    const rests = byValue.get(value) ?? []
    byValue.set(value, rests)
    rests.push(rest)
  }
  for (const [index, byValue] of byIndex) {
    const cases = [...byValue].map(([value, rests]) => ({
      halves: [Number(value & 0xffff_ffffn), Number(value >> 32n)] as const,
      node: rests.some((rest) => rest.length === 0) ? TRUE : anyRule(diagram, rests, bits),
    }))
    const possible = bits === 64 ? cases : cases.filter(({ halves: [, high] }) => high === 0)
    condition = diagram.select(casesNode(diagram, index, bits - 1, possible), TRUE, condition)
  }
  return condition
}

/** An argument's value, its low half first, and what is to hold besides. */
interface Case {
  readonly halves: readonly [number, number]
  readonly node: number
}

/** The condition of the case that an argument's bits, from this one down, belong to; FALSE for all other values. */
function casesNode(diagram: Diagram, index: number, bit: number, cases: readonly Case[]): number {
  const [first] = cases
  if (first === undefined) return FALSE
  if (bit < 0) return first.node
  const isSet = ({ halves }: Case) => (((bit < 32 ? halves[0] : halves[1]) >>> (bit % 32)) & 1) === 1
  const low = casesNode(
    diagram,
    index,
    bit - 1,
    cases.filter((one) => !isSet(one)),
  )
  const high = casesNode(diagram, index, bit - 1, cases.filter(isSet))
  return diagram.node(levelOfArgument(index) + 63 - bit, low, high)
}

/** The condition "all comparisons hold". On architectures of 32 bits the high half of an argument means nothing. */
export function ruleNode(diagram: Diagram, rule: readonly Comparison[], bits: 32 | 64): number {
  let condition = TRUE
  for (const comparison of [...rule].sort((a, b) => b.index - a.index))
    condition = diagram.select(comparisonNode(diagram, comparison, bits), condition, FALSE)
  return condition
}

function comparisonNode(diagram: Diagram, { index, op, value, mask }: Comparison, bits: 32 | 64): number {
  const operand = decodeUint64(value)
  const compared = op === 'masked==' ? decodeUint64(mask ?? 0) : BigInt.asUintN(bits, -1n)
  // A bit that is not looked at is 0.
  if ((op === 'masked==' || op === '==') && (operand & ~compared) !== 0n) return FALSE
  const halves = bits === 64 ? [0, 1] : [0]
  let node = op === '<' || op === '>' ? FALSE : TRUE
  for (const half of halves) {
    const bottom = levelOfArgument(index) + 63 - 32 * half
    const [wanted, looked] = [operand, compared].map((number) => Number((number >> BigInt(32 * half)) & 0xffff_ffffn))
    for (let bit = 0; bit < 32; bit++) {
      if ((((looked as number) >>> bit) & 1) === 0) continue
      node = bitNode(diagram, bottom - bit, op, (((wanted as number) >>> bit) & 1) === 1, node)
    }
  }
  return op === '!=' ? diagram.select(node, FALSE, TRUE) : node
}

/** A bit in front of the lower ones, whose comparison is `node`. */
function bitNode(diagram: Diagram, level: number, op: Comparison['op'], wanted: boolean, node: number): number {
  if (op === '<' || op === '<=') return wanted ? diagram.node(level, TRUE, node) : diagram.node(level, node, FALSE)
  if (op === '>' || op === '>=') return wanted ? diagram.node(level, FALSE, node) : diagram.node(level, node, TRUE)
  return wanted ? diagram.node(level, FALSE, node) : diagram.node(level, node, FALSE)
}
