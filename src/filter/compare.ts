/** What one meaning does otherwise than another, call by call. */
import { type ArchitectureName, registerBits } from '../policy/document.ts'
import { RET_ALLOW } from './actions.ts'
import { ARCHITECTURES, auditArch, numberSpaceEnd, numberSpaceStart } from './architectures.ts'
import { type Boxes, boxesOf } from './boxes.ts'
import type { Diagram } from './diagram.ts'
import { type Difference, differences, type Regions } from './regions.ts'

export type ChangeKind = 'allowed' | 'refused' | 'changed'

/** Calls of one ABI, in a row, that changed in the same way. */
export interface Change {
  /** Undefined: architectures that no policy knows, from archFrom to archTo. */
  readonly architecture: ArchitectureName | undefined
  readonly archFrom: number
  readonly archTo: number
  /** Numbers, both included. */
  readonly from: number
  readonly to: number
  /** `allowed`: was not before; `refused`: was allowed before; `changed`: something else is done with it than before. */
  readonly kind: ChangeKind
  /** Values that filters return. */
  readonly before: number
  readonly after: number
  /** For which arguments. */
  readonly when: Boxes
}

/** More boxes than this of one call are not listed. */
const MAX_BOXES = 100

/** All changes from `before` to `after`, by architecture and number. None: the two mean the same. */
export function compareRegions(diagram: Diagram, before: Regions, after: Regions): Change[] {
  const boxes = new Map<number, Boxes>()
  const changes: Change[] = []
  for (const difference of differences(before, after)) {
    for (const [from, to] of endPairs(diagram, difference)) {
      const condition = diagram.select(diagram.where(difference.a, from), diagram.where(difference.b, to), 0)
      if (condition === 0) continue
      let when = boxes.get(condition)
      if (when === undefined) {
        when = boxesOf(diagram, condition, MAX_BOXES)
        boxes.set(condition, when)
      }
      const [valueBefore, valueAfter] = [diagram.value(from), diagram.value(to)]
      const common = { kind: kindOf(valueBefore, valueAfter), before: valueBefore, after: valueAfter, when }
      changes.push(...byAbi(difference).map((place) => ({ ...place, ...common })))
    }
  }
  return changes
}

function* endPairs(diagram: Diagram, { a, b }: Difference): Generator<[number, number]> {
  const ends = diagram.endsOf(b)
  for (const from of diagram.endsOf(a)) for (const to of ends) if (from !== to) yield [from, to]
}

function kindOf(before: number, after: number): ChangeKind {
  if (after === RET_ALLOW) return 'allowed'
  return before === RET_ALLOW ? 'refused' : 'changed'
}

/** A range of calls, divided among the ABIs. */
function byAbi({ archFrom, archTo, from, to }: Difference) {
  const places: Pick<Change, 'architecture' | 'archFrom' | 'archTo' | 'from' | 'to'>[] = []
  let rest = from
  for (const architecture of ARCHITECTURES) {
    const audit = auditArch(architecture)
    const [first, last] = [numberSpaceStart(architecture), numberSpaceEnd(architecture) - 1]
    if (archFrom !== audit || archTo !== audit || last < rest || first > to) continue
    places.push({ architecture, archFrom, archTo, from: rest, to: Math.min(to, last) })
    rest = last + 1
  }
  // -1 of an architecture that is known, and all of one that is not.
  if (rest <= to) places.push({ architecture: undefined, archFrom, archTo, from: rest, to })
  return places
}

/** The size of an argument of a change's ABI. */
export function bitsOf({ architecture }: Change): 32 | 64 {
  return architecture === undefined ? 64 : registerBits(architecture)
}
