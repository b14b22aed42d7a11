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
import { differences, type Regions, regionsOf } from './regions.ts'
import { returnName } from './returns.ts'
import { Simulator, type SyscallData } from './simulate.ts'
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

/** The first call on which the filter is not the policy. Throws Undecidable; Error for what the kernel would not take. */
export function findDifference(
  programs: readonly Uint8Array[],
  architectures: readonly ResolvedArchitecture[],
  violation: ViolationAction,
): Witness | undefined {
  const diagram = new Diagram()
  const filter = regionsOf(diagram, programs)
  return firstDifference(diagram, filter, meaningOf(diagram, architectures, violation), programs)
}

function firstDifference(diagram: Diagram, filter: Regions, meaning: Regions, programs: readonly Uint8Array[]) {
  for (const { archFrom, from, a, b } of differences(filter, meaning)) {
    const call = { arch: archFrom, number: from, ...differingValues(diagram, a, b) }
    return { call, found: new Simulator(programs).run(call), expected: actionFor(diagram, b, call) }
  }
  return undefined
}

function sayVerdict(value: number, violation: ViolationAction): string {
  const { allow, refuse } = verdictsOf(violation)
  return value === allow ? 'allow' : value === refuse ? 'refuse' : 'enosys'
}
