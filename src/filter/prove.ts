/**
 * Does a filter mean its policy? The meaning of both is worked out for every architecture, number and argument there is (regions.ts,
 * meaning.ts), and compared. Where they differ, there is a call that shows it.
 */
import { oneLine, SandboxError } from '../errors.ts'
import type { Comparison } from '../generated/policy.ts'
import type { ViolationAction } from '../oci/annotations.ts'
import { describeCall } from './call-text.ts'
import { MAX_WORD } from './calls.ts'
import { Diagram } from './diagram.ts'
import type { ResolvedArchitecture } from './evaluate.ts'
import { meaningOf, orderFor, rulesNode, verdictsOf } from './meaning.ts'
import type { Program } from './program.ts'
import { type Difference, decodePrograms, differences, regionsOf } from './regions.ts'
import { returnName } from './returns.ts'
import { Simulator, type SyscallData } from './simulate.ts'
import { OPEN } from './symbolic.ts'
import { actionFor, differingValues } from './witness.ts'

/** A call that two filters, or a filter and its policy, treat otherwise. */
export interface Witness {
  readonly call: SyscallData
  /** Values that filters return. */
  readonly found: number
  readonly expected: number
}

/**
 * Throws FILTER_UNPROVED with a call that the filter treats otherwise than the policy says, or with the reason why it cannot be decided.
 * `programs`: in the order in which they are installed.
 */
export function proveFilter(
  programs: readonly Uint8Array[],
  policy: string,
  architectures: readonly ResolvedArchitecture[],
  violation: ViolationAction,
): void {
  let witness: Witness | undefined
  try {
    witness = findDifference(programs, architectures, violation)
  } catch (error) {
    throw new SandboxError('FILTER_UNPROVED', `policy ${policy}: its filter cannot be proved: ${oneLine(error)}`, {
      cause: error,
    })
  }
  if (witness === undefined) return
  const { call, found, expected } = witness
  throw new SandboxError(
    'FILTER_UNPROVED',
    `policy ${policy}: its filter answers ${returnName(found)} to ${describeCall(call)}, but the policy says ${sayVerdict(expected, violation)}`,
  )
}

/**
 * The first call on which the filter is not the policy. What does not depend on arguments is compared at once; then each call with
 * argument rules for itself. Throws Undecidable; Error for what the kernel would not take.
 */
export function findDifference(
  bytes: readonly Uint8Array[],
  architectures: readonly ResolvedArchitecture[],
  violation: ViolationAction,
): Witness | undefined {
  const programs = decodePrograms(bytes)
  const diagram = new Diagram()
  const outline = regionsOf(diagram, programs, { outline: true })
  const ruled: RuledCall[] = []
  const meaning = meaningOf(
    diagram,
    architectures,
    violation,
    (rules, bits) => FIRST_RULED - (ruled.push({ rules, bits }) - 1),
  )
  for (const difference of differences(outline, meaning)) {
    const { a, b } = difference
    const found =
      a === OPEN || b <= FIRST_RULED
        ? differenceOf(programs, difference, ruled[FIRST_RULED - b] ?? diagram.value(b), violation)
        : { call: { arch: difference.archFrom, number: difference.from, args: [] }, expected: diagram.value(b) }
    if (found !== undefined) return { ...found, found: new Simulator(bytes).run(found.call) }
  }
  return undefined
}

/** The nodes of calls with rules in the outline of a policy: from this one downwards. */
const FIRST_RULED = OPEN - 1

interface RuledCall {
  readonly rules: readonly Comparison[][]
  readonly bits: 32 | 64
}

/** Of some calls that look at arguments. `expected`: their rules, or the one value. */
function differenceOf(
  programs: readonly Program[],
  { archFrom, archTo, from, to }: Difference,
  expected: RuledCall | number,
  violation: ViolationAction,
): Omit<Witness, 'found'> | undefined {
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

function sayVerdict(value: number, violation: ViolationAction): string {
  const { allow, refuse } = verdictsOf(violation)
  return value === allow ? 'allow' : value === refuse ? 'refuse' : 'enosys'
}
