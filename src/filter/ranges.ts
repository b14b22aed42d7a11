/** Sets of 32-bit numbers as ranges: from, to, from, to, ...; both included, ascending, none empty. */
export type Ranges = number[]

/** Takes all that is also in `set` out of `ranges`, and returns it. */
export function takeOut(ranges: Ranges, set: readonly number[]): Ranges {
  const taken: Ranges = []
  for (let at = 0; at < set.length; at += 2) takeRange(ranges, set[at] as number, set[at + 1] as number, taken)
  return taken
}

function takeRange(ranges: Ranges, from: number, to: number, taken: Ranges): void {
  const first = firstEndingAt(ranges, from)
  let last = first
  for (; last < ranges.length && (ranges[last] as number) <= to; last += 2)
    taken.push(Math.max(ranges[last] as number, from), Math.min(ranges[last + 1] as number, to))
  if (last === first) return
  const rest: number[] = []
  if ((ranges[first] as number) < from) rest.push(ranges[first] as number, from - 1)
  if ((ranges[last - 1] as number) > to) rest.push(to + 1, ranges[last - 1] as number)
  ranges.splice(first, last - first, ...rest)
}

/** Takes one value out, and says whether it was there. */
export function takeOne(ranges: Ranges, value: number): boolean {
  const at = firstEndingAt(ranges, value)
  const from = ranges[at]
  if (from === undefined || from > value) return false
  const to = ranges[at + 1] as number
  if (from === to) ranges.splice(at, 2)
  else if (from === value) ranges[at] = value + 1
  else if (to === value) ranges[at + 1] = value - 1
  else ranges.splice(at + 1, 0, value - 1, value + 1)
  return true
}

/** The index of the first range that does not end before `value`. */
function firstEndingAt(ranges: Ranges, value: number): number {
  let low = 0
  let high = ranges.length / 2
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((ranges[2 * middle + 1] as number) < value) low = middle + 1
    else high = middle
  }
  return 2 * low
}

export function includes(ranges: Ranges, value: number): boolean {
  const at = firstEndingAt(ranges, value)
  return at < ranges.length && (ranges[at] as number) <= value
}
