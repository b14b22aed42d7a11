/** Sets of values of one word or argument, out of a Diagram's conditions. */
import { type Diagram, FALSE } from './diagram.ts'

/**
 * The values for which a condition holds that looks at one word or argument only: from, to, from, to, ... (both included, ascending).
 * `top` is the level of its highest bit. Undefined where there are more than `most` ranges.
 */
export function intervalsOf(
  diagram: Diagram,
  condition: number,
  top: number,
  bits: 32 | 64,
  most: number,
): bigint[] | undefined {
  const ranges: bigint[] = []
  const bottom = top + bits
  const walk = (node: number, level: number, from: bigint): boolean => {
    if (node === FALSE) return true
    if (diagram.isEnd(node) || diagram.level(node) >= bottom) {
      const to = from + (1n << BigInt(bottom - level)) - 1n
      if (ranges.length > 0 && ranges.at(-1) === from - 1n) ranges[ranges.length - 1] = to
      else ranges.push(from, to)
      return ranges.length <= 2 * most
    }
    const half = 1n << BigInt(bottom - level - 1)
    if (diagram.level(node) > level) return walk(node, level + 1, from) && walk(node, level + 1, from + half)
    return walk(diagram.low(node), level + 1, from) && walk(diagram.high(node), level + 1, from + half)
  }
  return walk(condition, top, 0n) ? ranges : undefined
}
