/**
 * The meaning of filters as a whole: every architecture and number there is, in ranges, each with its action as a function of the
 * arguments (a node of a Diagram). Exact for what src/filter/symbolic.ts follows; Undecidable, never a wrong answer, beyond it.
 */

import { RET_ALLOW } from './actions.ts'
import { type Calls, MAX_WORD } from './calls.ts'
import { type Diagram, Undecidable } from './diagram.ts'
import { decodeProgram, type Program, programProblem } from './program.ts'
import { includes } from './ranges.ts'
import { mostRestrictive } from './returns.ts'
import { type Cell, type CellOptions, cellsOf, OPEN } from './symbolic.ts'

/** What stands for all architectures from `from` to `to`, both included. */
export interface ArchRegions {
  readonly from: number
  readonly to: number
  /** The numbers from starts[i] to the one before starts[i + 1], or to the largest, have nodes[i]. Neighbours have different nodes. */
  readonly starts: readonly number[]
  readonly nodes: readonly number[]
}

/** By architecture, ascending, from 0 to MAX_WORD without a gap. Of one Diagram. */
export type Regions = readonly ArchRegions[]

/** Programs that the kernel takes. Throws Error for others. */
export function decodePrograms(programs: readonly Uint8Array[]): Program[] {
  return programs.map((bytes, index) => {
    const program = decodeProgram(bytes)
    const problem = programProblem(program)
    if (problem !== undefined) throw new Error(`${label(programs, index)}the kernel would not take it: ${problem}`)
    return program
  })
}

function label(programs: readonly unknown[], index: number): string {
  return programs.length > 1 ? `program ${index}: ` : ''
}

/**
 * `programs`: in the order in which they are installed. With `outline` all that depends on arguments has the node OPEN; with `calls` it
 * is the meaning for those only. Throws Undecidable.
 */
export function regionsOf(
  diagram: Diagram,
  programs: readonly Program[],
  { calls, outline = false }: CellOptions = {},
): Regions {
  let all: Regions | undefined
  for (const [index, program] of programs.entries()) {
    try {
      const copy: Calls | undefined = calls && [[...calls[0]], [...calls[1]]]
      const one = assemble(cellsOf(diagram, program, { outline, ...(copy === undefined ? {} : { calls: copy }) }))
      all = all === undefined ? one : overlay(diagram, one, all)
    } catch (error) {
      throw error instanceof Undecidable ? new Undecidable(label(programs, index) + error.message) : error
    }
  }
  return all ?? [{ from: 0, to: MAX_WORD, starts: [0], nodes: [diagram.end(RET_ALLOW)] }]
}

/** Ranges of numbers that have one node, put in order. Of two that begin with the same number the later counts. */
export function arrange(from: number, to: number, ranges: { from: number; node: number }[]): ArchRegions {
  ranges.sort((a, b) => a.from - b.from)
  const starts: number[] = []
  const nodes: number[] = []
  for (const range of ranges) {
    if (starts.at(-1) === range.from) {
      starts.pop()
      nodes.pop()
    }
    if (nodes.at(-1) === range.node) continue
    starts.push(range.from)
    nodes.push(range.node)
  }
  return { from, to, starts, nodes }
}

function assemble(cells: readonly Cell[]): Regions {
  const starts = cells.flatMap(({ calls: [, architectures] }) => architectures.filter((_, index) => index % 2 === 0))
  const borders = [...new Set(starts)].sort((a, b) => a - b)
  return borders.map((from, index) => {
    const ranges: { from: number; node: number }[] = []
    for (const { calls, node } of cells) {
      const [numbers, architectures] = calls
      if (!includes(architectures, from)) continue
      for (let at = 0; at < numbers.length; at += 2) ranges.push({ from: numbers[at] as number, node })
    }
    return arrange(from, (borders[index + 1] ?? MAX_WORD + 1) - 1, ranges)
  })
}

/** What two filters do that both run. */
function overlay(diagram: Diagram, newer: Regions, older: Regions): Regions {
  const result: ArchRegions[] = []
  for (const { from, to, a, b } of together(newer, older)) {
    const ranges = pairs(a, b).map((pair) => ({
      from: pair.from,
      node: pair.a === OPEN || pair.b === OPEN ? OPEN : diagram.combine(pair.a, pair.b, mostRestrictive),
    }))
    result.push(arrange(from, to, ranges))
  }
  return result
}

/** A range of architectures and numbers, both ends included, on which two meanings differ. */
export interface Difference {
  readonly archFrom: number
  readonly archTo: number
  readonly from: number
  readonly to: number
  readonly a: number
  readonly b: number
}

export function* differences(a: Regions, b: Regions): Generator<Difference> {
  for (const both of together(a, b)) {
    for (const pair of pairs(both.a, both.b, true)) yield { archFrom: both.from, archTo: both.to, ...pair }
  }
}

function* together(a: Regions, b: Regions) {
  for (let i = 0, j = 0; i < a.length && j < b.length; ) {
    const [one, other] = [a[i] as ArchRegions, b[j] as ArchRegions]
    const to = Math.min(one.to, other.to)
    const from = Math.max(one.from, other.from)
    if (from <= to) yield { from, to, a: one, b: other }
    if (one.to === to) i++
    if (other.to === to) j++
  }
}

/** Ranges of numbers with the node of either; with `differing` only those where they are not the same. */
function pairs(
  { starts: startsA, nodes: nodesA }: ArchRegions,
  { starts: startsB, nodes: nodesB }: ArchRegions,
  differing = false,
) {
  const result: { from: number; to: number; a: number; b: number }[] = []
  let from = Math.max(startsA[0] as number, startsB[0] as number)
  for (let i = 0, j = 0; i < startsA.length && j < startsB.length; ) {
    const [a, b] = [nodesA[i] as number, nodesB[j] as number]
    const endA = startsA[i + 1] ?? MAX_WORD + 1
    const endB = startsB[j + 1] ?? MAX_WORD + 1
    const end = Math.min(endA, endB)
    if (from < end && !(differing && a === b)) result.push({ from, to: end - 1, a, b })
    if (endA === end) i++
    if (endB === end) j++
    from = Math.max(from, end)
  }
  return result
}
