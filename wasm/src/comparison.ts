import { SeccompError } from './error.ts'

/**
 * One condition on an argument of the syscall; all of a rule's conditions must hold. `masked==` holds when
 * `(argument & mask) == value`; only there a mask is given.
 */
export type Comparison = {
  /** Which argument, 0 to 5. A rule may look at each only once. */
  readonly index: number
  readonly op: '==' | '!=' | '<' | '<=' | '>' | '>=' | 'masked=='
  /** 0 to 2**64 - 1, compared unsigned; where the architecture has 32 bits, to 2**32 - 1. */
  readonly value: bigint
  readonly mask?: bigint
}

/** enum scmp_compare of seccomp.h */
const operators = { '!=': 1, '<': 2, '<=': 3, '==': 4, '>=': 5, '>': 6, 'masked==': 7 } as const

/** sizeof(struct scmp_arg_cmp); glue.c asserts size and offsets. */
const size = 24

/** seccomp_data.args of linux/seccomp.h has six. */
export const maxComparisons = 6

const check = ({ index, op, value, mask }: Comparison, bits: 32 | 64): string | undefined => {
  const limit = 1n << BigInt(bits)
  if (!Number.isInteger(index) || index < 0 || index >= maxComparisons) return `argument ${index}, not of 0 to 5`
  if (!Object.hasOwn(operators, op)) return `the operator ${JSON.stringify(op)}`
  if (typeof value !== 'bigint' || value < 0n || value >= limit) return `${value}, not of 0n to ${limit - 1n}n`
  if (op !== 'masked==') return mask === undefined ? undefined : `a mask with ${op}`
  if (typeof mask !== 'bigint' || mask < 0n || mask >= 1n << 64n) return `the mask ${mask}, not of 0n to 2n**64n - 1n`
  return (value & ~mask) === 0n ? undefined : `the value ${value} with bits outside the mask ${mask}: it never holds`
}

/**
 * Writes struct scmp_arg_cmp[] where libseccomp reads it.
 * @param bits how much of an argument every architecture of the filter compares
 * @throws SeccompError RANGE: libseccomp would cut such values silently
 */
export const writeComparisons = (
  view: DataView,
  address: number,
  comparisons: readonly Comparison[],
  bits: 32 | 64,
  attempt: () => string,
): void => {
  if (comparisons.length > maxComparisons) {
    throw new SeccompError('RANGE', `${attempt()} with ${comparisons.length} comparisons, at most ${maxComparisons}`)
  }
  comparisons.forEach((comparison, position) => {
    const problem = check(comparison, bits)
    if (problem !== undefined) throw new SeccompError('RANGE', `${attempt()} comparing with ${problem}`)
    const masked = comparison.op === 'masked=='
    const start = address + position * size
    view.setUint32(start, comparison.index, true)
    view.setUint32(start + 4, operators[comparison.op], true)
    // datum_a is the mask of a masked comparison, and the value of every other.
    view.setBigUint64(start + 8, masked ? (comparison.mask ?? 0n) : comparison.value, true)
    view.setBigUint64(start + 16, masked ? comparison.value : 0n, true)
  })
}
