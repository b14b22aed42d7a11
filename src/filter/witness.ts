/** A call on which two functions differ. */
import { ARGUMENTS, type Diagram, levelOfArgument } from './diagram.ts'

/** Arguments for which two different nodes lead to different actions: zeros, but where bits must be set. */
export function differingArguments(diagram: Diagram, a: number, b: number): bigint[] {
  const args = Array<bigint>(ARGUMENTS).fill(0n)
  let [one, other] = [a, b]
  while (!diagram.isEnd(one) || !diagram.isEnd(other)) {
    const level = Math.min(diagram.level(one), diagram.level(other))
    const at = (node: number, bit: boolean) =>
      diagram.level(node) !== level ? node : bit ? diagram.high(node) : diagram.low(node)
    // Nodes that are not the same differ somewhere, so one of the two sides does.
    const bit = at(one, false) === at(other, false)
    const index = Math.floor(level / 64)
    if (bit && index < ARGUMENTS)
      args[index] = (args[index] as bigint) | (1n << BigInt(levelOfArgument(index) + 63 - level))
    one = at(one, bit)
    other = at(other, bit)
  }
  return args
}
