/**
 * Does a filter mean its policy? The meaning of both is worked out for every architecture, number and argument there is (regions.ts,
 * meaning.ts), and compared. Where they differ, there is a call that shows it.
 */
import { oneLine, SandboxError } from '../errors.ts'
import type { ViolationAction } from '../oci/annotations.ts'
import { describeCall } from './call-text.ts'
import { Diagram } from './diagram.ts'
import type { ResolvedArchitecture } from './evaluate.ts'
import { meaningOf, verdictsOf } from './meaning.ts'
import { decodePrograms, differences, regionsOf } from './regions.ts'
import { returnName } from './returns.ts'
import { findMismatch, type Mismatch, type RuledCall } from './ruled-calls.ts'
import { Simulator, type SyscallData } from './simulate.ts'
import { OPEN } from './symbolic.ts'
import { Walk } from './walk.ts'

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
  let walk: Walk | undefined
  for (const difference of differences(outline, meaning)) {
    const { a, b } = difference
    let found: Mismatch | undefined
    if (a === OPEN || b <= FIRST_RULED) {
      walk ??= new Walk(programs)
      found = findMismatch(programs, walk, difference, ruled[FIRST_RULED - b] ?? diagram.value(b), violation)
    } else
      found = { call: { arch: difference.archFrom, number: difference.from, args: [] }, expected: diagram.value(b) }
    if (found !== undefined) return { ...found, found: new Simulator(bytes).run(found.call) }
  }
  return undefined
}

/** The nodes of calls with rules in the outline of a policy: from this one downwards. */
const FIRST_RULED = OPEN - 1

function sayVerdict(value: number, violation: ViolationAction): string {
  const { allow, refuse } = verdictsOf(violation)
  return value === allow ? 'allow' : value === refuse ? 'refuse' : 'enosys'
}
