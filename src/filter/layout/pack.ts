/** Parts of calls into as few programs as a simple rule finds: the largest first, each into the first program that has room. */
import type { Part } from './parts.ts'

/** Which parts each program has; the first one has `room` instructions for them, each further one `roomOfOthers`. */
export function pack(parts: readonly Part[], room: number, roomOfOthers: number): Part[][] {
  const programs: { room: number; parts: Part[] }[] = [{ room, parts: [] }]
  for (const part of parts.toSorted(largestFirst)) {
    const size = part.size + DISPATCH
    let program = programs.find((candidate) => candidate.room >= size)
    if (program === undefined) {
      program = { room: roomOfOthers, parts: [] }
      programs.push(program)
    }
    program.parts.push(part)
    program.room -= size
  }
  return programs.map((program) => program.parts)
}

/** What finding a call by its number takes, for each: a test of it, one of the tree above it, and a jump. */
const DISPATCH = 3

/** Those that must stay in the first program come before all others. Equal ones stay as they are. */
function largestFirst(a: Part, b: Part): number {
  return Number(b.call.last) - Number(a.call.last) || b.size - a.size
}
