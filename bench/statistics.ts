/** What is said of many measurements of one thing. */

/** The value below which a share of the values lies (0.5: the median), interpolated between neighbours. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  const at = (sorted.length - 1) * share
  const low = sorted[Math.floor(at)] ?? Number.NaN
  const high = sorted[Math.ceil(at)] ?? low
  return low + (high - low) * (at - Math.floor(at))
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5)
}

/** The median of the differences of the pairs that were measured in the same round: what drifts between rounds cancels out. */
export function medianDifference(values: readonly number[], base: readonly number[]): number {
  return median(values.map((value, round) => value - (base[round] as number)))
}

/** A copy in random order, so that no case always follows the same other one. */
export function shuffled<T>(items: readonly T[]): T[] {
  const order = [...items]
  for (let last = order.length - 1; last > 0; last--) {
    const other = Math.floor(Math.random() * (last + 1))
    ;[order[last], order[other]] = [order[other] as T, order[last] as T]
  }
  return order
}
