/** What argument rules have in common. Pure. */
import type { Comparison } from '../generated/policy.ts'
import { decodeUint64 } from './uint64.ts'

const MAX = (1n << 64n) - 1n

/** Whether a value satisfies a comparison. */
export function satisfies({ op, value, mask }: Comparison, argument: bigint): boolean {
  const operand = decodeUint64(value)
  switch (op) {
    case '==':
      return argument === operand
    case '!=':
      return argument !== operand
    case '<':
      return argument < operand
    case '<=':
      return argument <= operand
    case '>':
      return argument > operand
    case '>=':
      return argument >= operand
    case 'masked==':
      return (argument & decodeUint64(mask ?? 0)) === operand
  }
}

/** Whether it is certain that no call satisfies both rules. */
export function disjoint(a: readonly Comparison[], b: readonly Comparison[]): boolean {
  return a.some((one) => b.some((other) => one.index === other.index && contradict(one, other)))
}

function contradict(a: Comparison, b: Comparison): boolean {
  if (a.op === '==') return !satisfies(b, decodeUint64(a.value))
  if (b.op === '==') return !satisfies(a, decodeUint64(b.value))
  if (a.op === 'masked==' && b.op === 'masked==') {
    const common = decodeUint64(a.mask ?? 0) & decodeUint64(b.mask ?? 0)
    return ((decodeUint64(a.value) ^ decodeUint64(b.value)) & common) !== 0n
  }
  const [lowA, highA] = range(a)
  const [lowB, highB] = range(b)
  return lowA > highB || lowB > highA
}

/** The least and the greatest value that may satisfy it. */
function range({ op, value }: Comparison): [bigint, bigint] {
  const operand = decodeUint64(value)
  switch (op) {
    case '<':
      return [0n, operand - 1n]
    case '<=':
      return [0n, operand]
    case '>':
      return [operand + 1n, MAX]
    case '>=':
      return [operand, MAX]
    default:
      return [0n, MAX]
  }
}
