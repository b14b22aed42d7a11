/** Parts of a call: the rules for some of its arguments' values. A call whose rules do not fit one program is divided into parts. */
import type { RuledCall } from './abi.ts'
import { assemble, INSTRUCTION } from './assemble.ts'
import { decide, searchArgument } from './decide.ts'
import type { Graph, Node } from './graph.ts'
import { compare, type Domains, type Rule, WHOLE, within } from './rules.ts'

export interface Part {
  readonly call: RuledCall
  /** The arguments that it judges. */
  readonly domains: Domains
  /** Instructions, the tests for those arguments included. */
  readonly size: number
}

/** What a call gets. */
export interface Answers {
  readonly allow: Node
  readonly refuse: Node
}

/** The decision of parts of one call; arguments that none of them judges are allowed. */
export function partsNode(graph: Graph, parts: readonly Pick<Part, 'call' | 'domains'>[], answers: Answers): Node {
  return parts.reduceRight((otherwise, { call, domains }) => {
    const rules = domains === call.domains ? call.rules : rulesWithin(call.rules, domains)
    const inside = decide(graph, rules, domains, answers.allow, answers.refuse)
    return domains.reduceRight((node, { from, to }, index) => {
      const whole = call.domains[index] as { from: bigint; to: bigint }
      if (from === whole.from && to === whole.to) return node
      const segments = [
        { from: 0n, node: otherwise },
        { from, node },
        ...(to === WHOLE ? [] : [{ from: to + 1n, node: otherwise }]),
      ]
      return searchArgument(graph, index, WHOLE, call.domains, segments)
    }, inside)
  }, answers.allow)
}

/** A call as one part, or as several of which each has no more than `limit` instructions; undefined where that cannot be. */
export function divide(graph: Graph, call: RuledCall, answers: Answers, limit: number): Part[] | undefined {
  const parts: Part[] = []
  const rest: Domains[] = [call.domains]
  for (let domains = rest.pop(); domains !== undefined; domains = rest.pop()) {
    const size = assemble(partsNode(graph, [{ call, domains }], answers)).length / INSTRUCTION
    if (size <= limit) parts.push({ call, domains, size })
    else {
      const halves = halve(rulesWithin(call.rules, domains), domains, Math.ceil(size / limit))
      if (halves === undefined) return undefined
      rest.push(...halves)
    }
  }
  return parts
}

/**
 * Two halves of the arguments (or a part and the rest, where `pieces` is odd), by the argument that leaves the fewest rules on either
 * side; undefined where one would have nearly all of them.
 */
function halve(rules: readonly Rule[], domains: Domains, pieces: number): [Domains, Domains] | undefined {
  const share = Math.ceil(pieces / 2) / pieces
  let best: [Domains, Domains] | undefined
  let fewest = rules.length * 0.9
  for (const [index, { from, to }] of domains.entries()) {
    const borders = rules.flatMap((rule) =>
      rule
        .filter((condition) => condition.index === index && condition.mask === WHOLE)
        .flatMap(({ ranges }) => ranges.map((range) => range.from))
        .filter((border) => border > from),
    )
    const middle = borders.sort(compare)[Math.floor(borders.length * share)]
    if (middle === undefined) continue
    const halves: [Domains, Domains] = [
      domains.with(index, { from: middle, to }),
      domains.with(index, { from, to: middle - 1n }),
    ]
    const most = Math.max(...halves.map((half) => rulesWithin(rules, half).length))
    if (most >= fewest) continue
    best = halves
    fewest = most
  }
  return best
}

function rulesWithin(rules: readonly Rule[], domains: Domains): Rule[] {
  return rules.map((rule) => within(rule, domains)).filter((rule) => rule !== undefined)
}
