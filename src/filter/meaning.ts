/** What a policy says of every call there is, in the form that a filter's meaning has (regions.ts). The plain semantics is evaluate.ts. */
import type { Comparison } from '../generated/policy.ts'
import type { ViolationAction } from '../oci/annotations.ts'
import { registerBits } from '../policy/document.ts'
import { decodeUint64 } from '../policy/uint64.ts'
import { ENOSYS, RET_ALLOW, RET_ERRNO, VIOLATION } from './actions.ts'
import { ARCHITECTURES, auditArch, numberSpaceEnd, numberSpaceStart } from './architectures.ts'
import { MAX_WORD } from './calls.ts'
import { type Diagram, FALSE, TRUE } from './diagram.ts'
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

/** What stands for the rules of a call: its node. */
export type RuledNode = (rules: readonly Comparison[][], bits: 32 | 64, ends: Verdicts) => number

/**
 * The numbers of an architecture that are not its own (x32's on x86-64, where the policy has no x32; -1, which is no call) and all
 * architectures that the policy does not name are refused.
 */
export function meaningOf(
  diagram: Diagram,
  architectures: readonly ResolvedArchitecture[],
  violation: ViolationAction,
  ruled: RuledNode = (rules, bits, ends) => rulesNode(diagram, rules, bits, ends),
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
    ranges.push(...numbersOf(architecture, ends, ruled))
    ranges.push({ from: numberSpaceEnd(name), node: ends.refuse })
  }
  return withoutGaps(byAudit, ends.refuse)
}

/** The ranges of one architecture's own numbers. */
function numbersOf({ name, known, allowed }: ResolvedArchitecture, ends: Verdicts, ruled: RuledNode) {
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
    const node = rules ? ruled(rules, registerBits(name), ends) : ends.allow
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

/** The actions of a call with rules. `ends`: nodes. */
export function rulesNode(diagram: Diagram, rules: readonly Comparison[][], bits: 32 | 64, ends: Verdicts): number {
  return diagram.select(anyOf(diagram, rules, bits), ends.allow, ends.refuse)
}

/** The condition "one of the rules holds": of two halves, so that what is made on the way is small. */
function anyOf(diagram: Diagram, rules: readonly Comparison[][], bits: 32 | 64): number {
  if (rules.length === 0) return FALSE
  if (rules.length === 1) return ruleNode(diagram, rules[0] as Comparison[], bits)
  const middle = rules.length >>> 1
  return diagram.select(anyOf(diagram, rules.slice(0, middle), bits), TRUE, anyOf(diagram, rules.slice(middle), bits))
}

/** The arguments that most rules compare first: then few of the rules are left at the next one. */
export function orderFor(rules: readonly Comparison[][]): number[] {
  const count = [0, 0, 0, 0, 0, 0]
  for (const rule of rules) for (const { index } of rule) count[index] = (count[index] as number) + 1
  return [0, 1, 2, 3, 4, 5].sort((a, b) => (count[b] as number) - (count[a] as number))
}

/** The condition "all comparisons hold". On architectures of 32 bits the high half of an argument means nothing. */
function ruleNode(diagram: Diagram, rule: readonly Comparison[], bits: 32 | 64): number {
  let condition = TRUE
  for (const comparison of [...rule].sort(
    (a, b) => diagram.levelOfArgument(b.index) - diagram.levelOfArgument(a.index),
  ))
    condition = diagram.select(comparisonNode(diagram, comparison, bits), condition, FALSE)
  return condition
}

function comparisonNode(diagram: Diagram, comparison: Comparison, bits: 32 | 64): number {
  const { index, op, value, to, mask } = comparison
  if (op === 'range') {
    const end = (op: '>=' | '<=', value: Comparison['value']) => boundNode(diagram, { index, op, value }, mask, bits)
    return diagram.select(end('>=', value), end('<=', to ?? value), FALSE)
  }
  return boundNode(diagram, comparison, op === 'masked==' ? (mask ?? 0) : undefined, bits)
}

/** A comparison of the bits of a mask with one value; undefined: of the whole argument. */
function boundNode(
  diagram: Diagram,
  { index, op, value }: Pick<Comparison, 'index' | 'op' | 'value'>,
  mask: Comparison['mask'],
  bits: 32 | 64,
): number {
  const operand = decodeUint64(value)
  const compared = mask === undefined ? BigInt.asUintN(bits, -1n) : decodeUint64(mask)
  // A bit that is not looked at is 0.
  if ((op === 'masked==' || op === '==') && (operand & ~compared) !== 0n) return FALSE
  const halves = bits === 64 ? [0, 1] : [0]
  let node = op === '<' || op === '>' ? FALSE : TRUE
  for (const half of halves) {
    const bottom = diagram.levelOfArgument(index) + 63 - 32 * half
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
