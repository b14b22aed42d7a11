/**
 * The programs of a policy: what libseccomp cannot say, or not well, stands before its program (newer numbers, argument rules), and what
 * does not fit there in programs of its own. The kernel runs all programs and takes the strictest answer, so each call with rules is
 * judged by one of them, and every other lets it pass.
 */
import { SandboxError } from '../../errors.ts'
import { ENOSYS, RET_ALLOW, RET_ERRNO } from '../actions.ts'
import type { Abi, RuledCall } from './abi.ts'
import { assemble, INSTRUCTION } from './assemble.ts'
import { BUDGET, charged, KERNEL_BUDGET, MAX_INSTRUCTIONS, MAX_PROGRAMS } from './budget.ts'
import { Graph, type Node, TooManyNodes, WHOLE_WORD } from './graph.ts'
import { pack } from './pack.ts'
import { type Answers, divide, type Part, partsNode } from './parts.ts'
import { type Segment, searchWord } from './search.ts'

/** Offsets in struct seccomp_data (linux/seccomp.h). */
const NUMBER = { offset: 0, mask: WHOLE_WORD }
const ARCH = { offset: 4, mask: WHOLE_WORD }

/** What a program of its own takes besides its calls: the architecture's tests and the returns. */
const FRAME = 16

/** How much less is put into a program each time that jumps made one too long. */
const SHRINK = 64
const MAX_ATTEMPTS = 16

/**
 * What can be laid out before the program for calls without rules is there. With that, `behind`, it makes the programs, in the order in
 * which they are to be installed: the last one ends in `behind`. `refuse`: what a violation gets, SECCOMP_RET_* | data. Both throw
 * FILTER_TOO_LARGE.
 */
export function layOut(policy: string, abis: readonly Abi[], refuse: number): (behind: Uint8Array) => Uint8Array[] {
  const layout = orTooLarge(policy, abis, () => new Layout(abis, refuse))
  return (behind) => orTooLarge(policy, abis, () => finish(policy, abis, layout.programs(behind)))
}

function finish(policy: string, abis: readonly Abi[], programs: Uint8Array[] | undefined): Uint8Array[] {
  if (programs === undefined) throw tooLarge(policy, abis, 'a call has rules that cannot be divided')
  if (programs.length > MAX_PROGRAMS)
    throw tooLarge(policy, abis, `it needs ${programs.length} programs, not ${MAX_PROGRAMS}`)
  const size = charged(programs)
  if (size > BUDGET) {
    throw tooLarge(
      policy,
      abis,
      `its programs count ${size} of the ${KERNEL_BUDGET} instructions that the kernel lets all filters of a process have (${BUDGET} are for a policy)`,
    )
  }
  return programs
}

function orTooLarge<T>(policy: string, abis: readonly Abi[], make: () => T): T {
  try {
    return make()
  } catch (error) {
    throw error instanceof TooManyNodes ? tooLarge(policy, abis, 'it has too many different argument rules') : error
  }
}

function tooLarge(policy: string, abis: readonly Abi[], reason: string): SandboxError {
  const calls = abis.flatMap(({ ruled }) => ruled).sort((a, b) => b.rules.length - a.rules.length)
  const most = calls.slice(0, 3).map(({ label, rules }) => `${label} ${rules.length}`)
  return new SandboxError(
    'FILTER_TOO_LARGE',
    `policy ${policy} is too large for the kernel: ${reason}; use fewer argument rules, or ranges and masks instead of values (most have: ${most.join(', ')})`,
  )
}

class Layout {
  readonly #abis: readonly Abi[]
  readonly #graph = new Graph()
  readonly #answers: Answers
  readonly #calls: readonly RuledCall[]
  /** Of the program that decides about all calls, where that is not too long. */
  readonly #whole: Node

  constructor(abis: readonly Abi[], refuse: number) {
    this.#abis = abis
    this.#answers = { allow: this.#graph.return(RET_ALLOW), refuse: this.#graph.return(refuse) }
    this.#calls = abis.flatMap(({ ruled }) => ruled)
    this.#whole = this.#last(this.#calls.map((call) => ({ call, domains: call.domains, size: 0 })))
  }

  /** Undefined where the rules of one call can neither stay together nor be divided. */
  programs(behind: Uint8Array): Uint8Array[] | undefined {
    const one = assemble(this.#whole, behind)
    if (fits(one)) return [one]
    const room = MAX_INSTRUCTIONS - assemble(this.#last([]), behind).length / INSTRUCTION
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const slack = attempt * SHRINK
      const roomOfOthers = MAX_INSTRUCTIONS - FRAME - slack
      const parts: Part[] = []
      for (const call of this.#calls) {
        const divided = divide(this.#graph, call, this.#answers, roomOfOthers - FRAME)
        if (divided === undefined) return undefined
        parts.push(...divided)
      }
      const [first = [], ...others] = pack(parts, room - slack, roomOfOthers)
      const programs = [...others.map((other) => this.#other(other)), assemble(this.#last(first), behind)]
      if (programs.every(fits)) return programs
    }
    return undefined
  }

  /** The root of the program that decides about all calls, but lets those pass that have their rules elsewhere. */
  #last(parts: readonly Part[]): Node {
    const enosys = this.#graph.return(RET_ERRNO | ENOSYS)
    const next = this.#graph.continue
    const nodes = this.#nodes(parts)
    return this.#byNumber(next, ({ known = Number.POSITIVE_INFINITY, named, ruled }) => {
      const calls = new Map(ruled.map((call) => [call.number, nodes.get(call) ?? this.#answers.allow]))
      return {
        borders: known < Number.POSITIVE_INFINITY ? [known + 1] : [],
        answer: (number) => calls.get(number) ?? (number <= known || named.has(number) ? next : enosys),
      }
    })
  }

  /** A program for some calls; it lets all others pass. */
  #other(parts: readonly Part[]): Uint8Array {
    const nodes = this.#nodes(parts)
    const { allow } = this.#answers
    const root = this.#byNumber(allow, ({ ruled }) => {
      const calls = new Map(ruled.map((call) => [call.number, nodes.get(call) ?? allow]))
      return { borders: [], answer: (number) => calls.get(number) ?? allow }
    })
    return assemble(root)
  }

  #nodes(parts: readonly Part[]): Map<RuledCall, Node> {
    const byCall = Map.groupBy(parts, ({ call }) => call)
    return new Map([...byCall].map(([call, some]) => [call, partsNode(this.#graph, some, this.#answers)]))
  }

  /** Finds the architecture, then the number: what is often called lies near the root of either search. */
  #byNumber(outside: Node, look: (abi: Abi) => { borders: readonly number[]; answer: (number: number) => Node }): Node {
    const architectures: Segment[] = [{ from: 0, node: outside }]
    const byAudit = [...Map.groupBy(this.#abis, ({ audit }) => audit)].sort(([a], [b]) => a - b)
    for (const [audit, abis] of byAudit) {
      const numbers: Segment[] = [{ from: 0, node: outside }]
      for (const abi of abis.toSorted((a, b) => a.start - b.start)) {
        const { borders, answer } = look(abi)
        numbers.push(...segmentsOf(abi, borders, answer), { from: abi.end, node: outside })
      }
      const distinct = numbers.filter(({ from }, at) => numbers[at + 1]?.from !== from)
      const weight = distinct.reduce((sum, segment) => sum + (segment.weight ?? 0), 0)
      architectures.push({ from: audit, node: searchWord(this.#graph, NUMBER, distinct), weight })
      architectures.push({ from: audit + 1, node: outside })
    }
    return searchWord(this.#graph, ARCH, architectures)
  }
}

/** The numbers of an ABI, in ranges that lead to the same; what is called often weighs as much. */
function segmentsOf(
  { start, end, named, ruled }: Abi,
  borders: readonly number[],
  answer: (number: number) => Node,
): Segment[] {
  const calls: [number: number, weight: number][] = [...named]
  for (const { number, weight } of ruled) calls.push([number, weight])
  const segments: { from: number; node: Node; weight: number }[] = []
  let last: (typeof segments)[number] | undefined
  const begin = (from: number) => {
    if (from < start || from >= end) return
    const node = answer(from)
    if (last?.node === node) return
    last = { from, node, weight: 0 }
    segments.push(last)
  }
  const behind = [...borders].sort((a, b) => b - a)
  const beginUpTo = (number: number) => {
    for (let border = behind.at(-1); border !== undefined && border <= number; border = behind.at(-1)) {
      begin(border)
      behind.pop()
    }
  }
  begin(start)
  for (const call of calls.sort(byNumber)) {
    const number = call[0]
    if (number < start || number >= end) continue
    beginUpTo(number)
    begin(number)
    if (last !== undefined) last.weight += call[1]
    begin(number + 1)
  }
  beginUpTo(end)
  return segments
}

function byNumber(a: readonly [number, number], b: readonly [number, number]): number {
  return a[0] - b[0]
}

function fits(program: Uint8Array): boolean {
  return program.length / INSTRUCTION <= MAX_INSTRUCTIONS
}
