/** The rules of one call -> a graph that tells whether one of them holds. */
import type { Graph, Node } from './graph.ts'
import { byArgument, type Condition, compare, type Domains, type Range, type Rule, union, WHOLE } from './rules.ts'
import { searchValue, type WideSegment } from './search.ts'

/** offsetof(struct seccomp_data, args) of linux/seccomp.h; little-endian, so the low word of an argument comes first. */
const ARGUMENTS = 16

const LOW_WORD = 0xffff_ffffn
const HIGH_WORD = WHOLE ^ LOW_WORD

/** Rules may be laid out more than once where their ranges overlap, but not more often than this on average. */
const MAX_COPIES = 2

/** Leads to `allow` where a rule holds for arguments that lie in the domains, else to `otherwise`. Throws TooManyNodes. */
export function decide(graph: Graph, rules: readonly Rule[], domains: Domains, allow: Node, otherwise: Node): Node {
  return new Decision(graph, allow).of(rules, domains, otherwise)
}

/** Rules that have a condition on the same argument and mask: one search tells which of them are left. */
interface Group {
  readonly index: number
  readonly mask: bigint
  readonly members: readonly Member[]
}

/** A rule without that condition, and the condition's ranges. */
interface Member {
  readonly ranges: readonly Range[]
  readonly rest: Rule
}

class Decision {
  readonly #graph: Graph
  readonly #allow: Node

  constructor(graph: Graph, allow: Node) {
    this.#graph = graph
    this.#allow = allow
  }

  of(rules: readonly Rule[], domains: Domains, otherwise: Node): Node {
    if (rules.some((rule) => rule.length === 0)) return this.#allow
    const common = commonHighWord(rules, domains)
    if (common !== undefined) {
      const { index, inside } = common
      const narrowed = domains.with(index, inside)
      return this.#range(index, domains, inside, this.of(rules, narrowed, otherwise), otherwise)
    }
    // The last group is tested last: what leads on from a group must be there before it.
    return groupsOf(rules).reduceRight((next, group) => this.#search(group, domains, next), otherwise)
  }

  #search({ index, mask, members }: Group, domains: Domains, otherwise: Node): Node {
    const known = new Map<string, Node>()
    const segments = [...segmentsOf(members)].map(({ from, left }): WideSegment => {
      const key = left.join(' ')
      const rests = left.map((member) => (members[member] as Member).rest)
      const node = known.get(key) ?? this.of(rests, domains, otherwise)
      known.set(key, node)
      return { from, node: left.length === 0 ? otherwise : node }
    })
    return this.#value(index, mask, domains, segments)
  }

  /** Whether an argument lies in a range. */
  #range(index: number, domains: Domains, { from, to }: Range, inside: Node, outside: Node): Node {
    const behind = to === WHOLE ? [] : [{ from: to + 1n, node: outside }]
    return this.#value(index, WHOLE, domains, [{ from: 0n, node: outside }, { from, node: inside }, ...behind])
  }

  #value(index: number, mask: bigint, domains: Domains, segments: readonly WideSegment[]): Node {
    return searchArgument(this.#graph, index, mask, domains, segments)
  }
}

/** The tests that find an argument's segment, or that of its masked bits. */
export function searchArgument(
  graph: Graph,
  index: number,
  mask: bigint,
  domains: Domains,
  segments: readonly WideSegment[],
): Node {
  const offset = ARGUMENTS + 8 * index
  const highMask = Number(mask >> 32n)
  const { from, to } = domains[index] as Range
  const oneHigh = from >> 32n === to >> 32n
  const fixedHigh = oneHigh ? Number((from & mask) >> 32n) : highMask === 0 ? 0 : undefined
  // Several segments may begin at 0, as the first one always does: the last of them counts.
  const distinct = segments.filter((segment, at) => segments[at + 1]?.from !== segment.from)
  return searchValue(
    graph,
    { low: { offset, mask: Number(mask & 0xffff_ffffn) }, high: { offset: offset + 4, mask: highMask }, fixedHigh },
    distinct,
  )
}

/** An argument whose high word must be the same by every rule, and is not known yet: it is tested once for all of them. */
function commonHighWord(rules: readonly Rule[], domains: Domains): { index: number; inside: Range } | undefined {
  const [first] = rules
  if (first === undefined || rules.length === 1) return undefined
  for (const { index, ranges } of first) {
    const { from, to } = domains[index] as Range
    const high = (ranges[0]?.from ?? 0n) >> 32n
    const inside = { from: high << 32n, to: (high << 32n) | LOW_WORD }
    if (from >= inside.from && to <= inside.to) continue
    if (rules.every((rule) => rule.some((condition) => condition.index === index && keeps(condition, inside)))) {
      return { index, inside }
    }
  }
  return undefined
}

/** Whether a condition only holds for arguments in a range that has all values of a low word. */
function keeps({ mask, ranges }: Condition, { from, to }: Range): boolean {
  const [first, last] = [ranges[0], ranges.at(-1)]
  return mask >= HIGH_WORD && first !== undefined && last !== undefined && first.from >= from && last.to <= to
}

/** Each rule goes to the group that most rules could be in; the largest group comes first. */
function groupsOf(rules: readonly Rule[]): Group[] {
  const counts = new Map<string, number>()
  for (const { key } of rules.flat()) counts.set(key, (counts.get(key) ?? 0) + 1)
  const groups = new Map<string, { chosen: Condition; members: Member[] }>()
  for (const rule of rules) {
    const most = Math.max(...rule.map(({ key }) => counts.get(key) as number))
    const chosen = rule.find(({ key }) => counts.get(key) === most) as Condition
    const group = groups.get(chosen.key) ?? { chosen, members: [] }
    groups.set(chosen.key, group)
    group.members.push({ ranges: chosen.ranges, rest: rule.filter((condition) => condition !== chosen) })
  }
  const sorted = [...groups.values()].sort(
    (a, b) => b.members.length - a.members.length || byArgument(a.chosen, b.chosen),
  )
  return sorted.flatMap(({ chosen: { index, mask }, members }) =>
    layers(united(members)).map((layer) => ({ index, mask, members: layer })),
  )
}

/** Members that go on alike are one, with the ranges of all. Sorted, so that the order of the rules does not matter. */
function united(members: readonly Member[]): Member[] {
  const byRest = new Map<string, { ranges: Range[]; rest: Rule }>()
  for (const { ranges, rest } of members) {
    const text = rest.map(({ key, ranges }) => `${key}: ${ranges.map(({ from, to }) => `${from}-${to}`)}`).join()
    const same = byRest.get(text) ?? { ranges: [], rest }
    byRest.set(text, same)
    same.ranges.push(...ranges)
  }
  const sorted = [...byRest].sort(([a], [b]) => (a < b ? -1 : 1))
  return sorted.map(([, { ranges, rest }]) => ({ ranges: union(ranges), rest }))
}

/**
 * One search for all members, where that does not lay out their rests too often; else several, one after the other, in each of which
 * members have either no value in common or all.
 */
function layers(members: readonly Member[]): Member[][] {
  if (members.length === 1 || !overlapsMuch(members)) return [[...members]]
  const pieces = members.flatMap(({ ranges, rest }) => ranges.map((range) => ({ range, rest })))
  pieces.sort((a, b) => compare(a.range.from, b.range.from) || compare(a.range.to, b.range.to))
  const result: { last: Range; members: Member[] }[] = []
  for (const { range, rest } of pieces) {
    const { from, to } = range
    const member = { ranges: [range], rest }
    const fitting = result.find(({ last }) => from > last.to || (from === last.from && to === last.to))
    if (fitting === undefined) result.push({ last: range, members: [member] })
    else {
      fitting.last = range
      fitting.members.push(member)
    }
  }
  return result.map((layer) => layer.members)
}

/** Whether one search would lay out the rests of the members too often. */
function overlapsMuch(members: readonly Member[]): boolean {
  const sets = new Set<string>()
  let copies = 0
  for (const { left } of segmentsOf(members)) {
    const key = left.join(' ')
    if (!sets.has(key)) copies += left.length
    sets.add(key)
    if (copies > MAX_COPIES * members.length) return true
  }
  return false
}

/** The borders of all ranges, sorted, 0 among them, and which members are left from each on. */
function* segmentsOf(members: readonly Member[]): Generator<{ from: bigint; left: number[] }> {
  const changes: { at: bigint; member: number; begins: boolean }[] = []
  for (const [member, { ranges }] of members.entries()) {
    for (const { from, to } of ranges) {
      changes.push({ at: from, member, begins: true })
      if (to < WHOLE) changes.push({ at: to + 1n, member, begins: false })
    }
  }
  changes.sort((a, b) => compare(a.at, b.at))
  const left = new Set<number>()
  if (changes[0]?.at !== 0n) yield { from: 0n, left: [] }
  for (const [index, { at, member, begins }] of changes.entries()) {
    // A member's ranges neither overlap nor meet, so the order of the changes in one place does not matter.
    if (begins) left.add(member)
    else left.delete(member)
    if (changes[index + 1]?.at !== at) yield { from: at, left: [...left].sort((a, b) => a - b) }
  }
}
