/** Whether boxes cover what is known of a call. */
import type { RuleBox } from './rule-boxes.ts'
import { isEmpty, type ValueSet, type ValueSets } from './value-set.ts'

/** A part of `known` (a set for each word) that is in none of the boxes; undefined: there is none. `spend` is told of the work, and may throw. */
export function uncovered(
  sets: ValueSets,
  known: readonly ValueSet[],
  boxes: readonly RuleBox[],
  spend: (work: number) => void,
): readonly ValueSet[] | undefined {
  const left = [...known]
  const others: RuleBox[] = []
  const byWord = new Map<number, ValueSet[]>()
  // Boxes that leave out only values of one word are taken away at once: what stays is known word by word as before.
  for (const box of boxes) {
    const narrow = box.words.filter((word) => !sets.within(known[word] as ValueSet, box.sets[word] as ValueSet))
    if (narrow.length === 0) return undefined
    const [word] = narrow as [number]
    if (narrow.length > 1) others.push(box)
    else {
      const values = byWord.get(word)
      if (values === undefined) byWord.set(word, [box.sets[word] as ValueSet])
      else values.push(box.sets[word] as ValueSet)
    }
  }
  for (const [word, values] of byWord) {
    left[word] = sets.without(left[word] as ValueSet, sets.union(values))
    if (isEmpty(left[word] as ValueSet)) return undefined
  }
  return rest(sets, left, others, 0, spend)
}

function rest(
  sets: ValueSets,
  known: readonly ValueSet[],
  boxes: readonly RuleBox[],
  from: number,
  spend: (work: number) => void,
): readonly ValueSet[] | undefined {
  for (let index = from; index < boxes.length; index++) {
    const { words, sets: wanted } = boxes[index] as RuleBox
    spend(1)
    if (words.some((word) => !sets.meet(known[word] as ValueSet, wanted[word] as ValueSet))) continue
    const inside = [...known]
    for (const word of words) {
      const outside = sets.without(inside[word] as ValueSet, wanted[word] as ValueSet)
      if (!isEmpty(outside)) {
        const found = rest(sets, inside.with(word, outside), boxes, index + 1, spend)
        if (found !== undefined) return found
      }
      inside[word] = sets.both(inside[word] as ValueSet, wanted[word] as ValueSet)
    }
    return undefined
  }
  return known
}
