/** Single calls and the nodes of a Diagram. */
import { ARGUMENTS, type Diagram } from './diagram.ts'
import type { SyscallData } from './simulate.ts'

/** Of a call what a node looks at. */
export type Values = Required<Pick<SyscallData, 'args' | 'pointer'>>

/** Values for which two different nodes lead to different actions: zeros, but where bits must be set. */
export function differingValues(diagram: Diagram, a: number, b: number): Values {
  const values = Array<bigint>(ARGUMENTS + 1).fill(0n)
  let [one, other] = [a, b]
  while (!diagram.isEnd(one) || !diagram.isEnd(other)) {
    const level = Math.min(diagram.level(one), diagram.level(other))
    const at = (node: number, bit: boolean) =>
      diagram.level(node) !== level ? node : bit ? diagram.high(node) : diagram.low(node)
    // Nodes that are not the same differ somewhere, so one of the two sides does.
    const bit = at(one, false) === at(other, false)
    const index = diagram.argumentAt(level)
    if (bit) values[index] = (values[index] as bigint) | (1n << BigInt(63 - (level % 64)))
    one = at(one, bit)
    other = at(other, bit)
  }
  return { args: values.slice(0, ARGUMENTS), pointer: values[ARGUMENTS] as bigint }
}

/** Where a node leads for a call: a value that a filter returns. */
export function actionFor(
  diagram: Diagram,
  start: number,
  { args, pointer }: Pick<SyscallData, 'args' | 'pointer'>,
): number {
  let node = start
  while (!diagram.isEnd(node)) {
    const level = diagram.level(node)
    const index = diagram.argumentAt(level)
    const value = (index < ARGUMENTS ? args[index] : pointer) ?? 0n
    node = (value >> BigInt(63 - (level % 64))) & 1n ? diagram.high(node) : diagram.low(node)
  }
  return diagram.value(node)
}

/** The call with these words of struct seccomp_data (linux/seccomp.h). */
export function callOf(words: readonly number[]): SyscallData {
  const wide = (low: number) => (BigInt(words[low + 1] as number) << 32n) | BigInt(words[low] as number)
  const args = Array.from({ length: ARGUMENTS }, (_, index) => wide(4 + 2 * index))
  return { number: words[0] as number, arch: words[1] as number, args, pointer: wide(2) }
}
