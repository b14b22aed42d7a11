/** Boxes of arguments in words and as JSON. */
import type { Box, ValueSet } from './boxes.ts'
import { argumentText } from './call-text.ts'

/** "argument 0 is 2 and argument 1 & 0xff is 5 to 7 or 9"; "any arguments". `bits`: of the ABI's arguments. */
export function boxText(box: Box, bits: 32 | 64): string {
  return box.length === 0 ? 'any arguments' : box.map((set) => setText(set, bits)).join(' and ')
}

function setText({ index, mask, ranges }: ValueSet, bits: 32 | 64): string {
  // Of a 32-bit argument the low word is all.
  const whole = mask === undefined || mask === BigInt.asUintN(bits, -1n)
  const values: string[] = []
  for (let at = 0; at < ranges.length; at += 2) {
    const [from, to] = [ranges[at] as bigint, ranges[at + 1] as bigint]
    values.push(from === to ? argumentText(from) : `${argumentText(from)} to ${argumentText(to)}`)
  }
  return `argument ${index}${whole ? '' : ` & 0x${mask.toString(16)}`} is ${values.join(' or ')}`
}

/** With the numbers as texts, decimal: they may go beyond what JSON's readers keep exact. */
export function boxJson(box: Box) {
  return box.map(({ index, mask, ranges }) => ({
    argument: index,
    ...(mask === undefined ? {} : { mask: String(mask) }),
    ranges: Array.from({ length: ranges.length / 2 }, (_, at) => [String(ranges[2 * at]), String(ranges[2 * at + 1])]),
  }))
}
