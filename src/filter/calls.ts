/** Sets of calls, by the two words that say which call it is, and how comparisons split them. */

import { type Content, condition, isWhole } from './content.ts'
import { type Diagram, Undecidable, WORD_ARCH } from './diagram.ts'
import { intervalsOf } from './intervals.ts'
import { JEQ, JGT, JSET } from './program.ts'
import { type Ranges, takeOut } from './ranges.ts'

/** The largest value of seccomp_data.nr and arch. */
export const MAX_WORD = 0xffff_ffff
/** A set of numbers of more ranges than this is given up: "number & 0xff is 3" has 16 million. */
const MAX_RANGES = 10_000

/** All of these numbers with all of these architectures (in the order of WORD_NUMBER, WORD_ARCH). */
export type Calls = readonly [numbers: Ranges, architectures: Ranges]

/** Takes the calls whose word has one of the values away, and returns them; undefined where there are none. */
export function split(calls: Calls, word: number, values: readonly number[]): Calls | undefined {
  const inside = takeOut(calls[word] as Ranges, values)
  if (inside.length === 0) return undefined
  return word === WORD_ARCH ? [[...calls[0]], inside] : [inside, [...calls[1]]]
}

/** The values of a word for which a comparison holds. */
export function valuesOf(diagram: Diagram, operation: number, a: Content, compared: number, at: number): Ranges {
  if (isWhole(a) && operation !== JSET) {
    if (operation === JEQ) return [compared, compared]
    const from = operation === JGT ? compared + 1 : compared
    return from > MAX_WORD ? [] : [from, MAX_WORD]
  }
  const set = intervalsOf(
    diagram,
    condition(diagram, operation, a, compared),
    diagram.levelOfWord(a.word),
    32,
    MAX_RANGES,
  )
  if (set === undefined)
    throw new Undecidable(`instruction ${at} compares some bits of the number or the architecture, in too many ranges`)
  return set.map(Number)
}
