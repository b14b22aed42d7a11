/**
 * Calls that look at arguments: what the filter does with them against their rules. By walking both at once (walk.ts); where that is too
 * much work, by decision diagrams of both (regions.ts, meaning.ts). Either is exact, and either has its limits.
 */
import type { Comparison } from '../generated/policy.ts'
import type { ViolationAction } from '../oci/annotations.ts'
import { MAX_WORD } from './calls.ts'
import { Diagram, Undecidable } from './diagram.ts'
import { orderFor, rulesNode, verdictsOf } from './meaning.ts'
import type { Program } from './program.ts'
import { type Difference, differences, regionsOf } from './regions.ts'
import { ruleBoxes } from './rule-boxes.ts'
import type { SyscallData } from './simulate.ts'
import type { Walk } from './walk.ts'
import { actionFor, callOf, differingValues } from './witness.ts'

/** What a policy says of a call that it has rules for. */
export interface RuledCall {
  readonly rules: readonly Comparison[][]
  /** The size of an argument. */
  readonly bits: 32 | 64
}

/** A call that a filter treats otherwise, and the value that it should return. */
export interface Mismatch {
  readonly call: SyscallData
  readonly expected: number
}

/** The calls of some numbers and architectures, both ends included. */
export type CallRange = Pick<Difference, 'archFrom' | 'archTo' | 'from' | 'to'>

/** One of the calls that is treated otherwise. `expected`: their rules, or the value that all of them get. Throws Undecidable. */
export function findMismatch(
  programs: readonly Program[],
  walk: Walk,
  calls: CallRange,
  expected: RuledCall | number,
  violation: ViolationAction,
): Mismatch | undefined {
  try {
    return mismatchByWalk(walk, calls, expected, violation)
  } catch (error) {
    if (error instanceof Undecidable) return mismatchByDiagram(programs, calls, expected, violation)
    throw error
  }
}

export function mismatchByWalk(
  walk: Walk,
  { archFrom, archTo, from, to }: CallRange,
  expected: RuledCall | number,
  violation: ViolationAction,
): Mismatch | undefined {
  const verdicts = verdictsOf(violation)
  const { rules, bits, refuse } =
    typeof expected !== 'number'
      ? { ...expected, refuse: verdicts.refuse }
      : expected === verdicts.allow
        ? { rules: [[]], bits: 64 as const, refuse: verdicts.refuse }
        : { rules: [], bits: 64 as const, refuse: expected }
  const shown = walk.find([from, to], [archFrom, archTo], ruleBoxes(walk.sets, rules, bits), refuse)
  return shown && { call: callOf(shown.words), expected: shown.expected }
}

export function mismatchByDiagram(
  programs: readonly Program[],
  { archFrom, archTo, from, to }: CallRange,
  expected: RuledCall | number,
  violation: ViolationAction,
): Mismatch | undefined {
  const rules = typeof expected === 'number' ? [] : expected.rules
  const diagram = new Diagram(orderFor(rules))
  const wanted = typeof expected === 'number' ? diagram.end(expected) : nodeOf(diagram, expected, violation)
  const filter = regionsOf(diagram, programs, {
    calls: [
      [from, to],
      [archFrom, archTo],
    ],
  })
  const policy = [{ from: 0, to: MAX_WORD, starts: [0], nodes: [wanted] }]
  for (const difference of differences(filter, policy)) {
    // Behind the last call that was asked for the regions say nothing.
    if (difference.from > to || difference.archFrom > archTo) continue
    const call = {
      arch: difference.archFrom,
      number: difference.from,
      ...differingValues(diagram, difference.a, wanted),
    }
    return { call, expected: actionFor(diagram, wanted, call) }
  }
  return undefined
}

function nodeOf(diagram: Diagram, { rules, bits }: RuledCall, violation: ViolationAction): number {
  const { allow, refuse, enosys } = verdictsOf(violation)
  const ends = { allow: diagram.end(allow), refuse: diagram.end(refuse), enosys: diagram.end(enosys) }
  return rulesNode(diagram, rules, bits, ends)
}
