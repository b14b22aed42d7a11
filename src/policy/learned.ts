/** The learned arguments of a call, as a set that can be merged: commutative, associative and idempotent. Pure. */
import type { AllowedSyscall, LearnedArguments } from '../generated/policy.ts'

/** The schema's maximum: beyond it a call is allowed with any arguments. */
export const MAX_LEARNED = 4096

export function isUnrestricted({ rules, learned }: AllowedSyscall): boolean {
  return rules === undefined && learned === undefined
}

/**
 * What either has seen; `any` where that is no restriction any more: more than MAX_LEARNED combinations, or no argument that both
 * recorded (two versions of the table of arguments). Both sets are first cut down to the arguments that both recorded.
 */
export function mergeLearned(
  a: LearnedArguments | undefined,
  b: LearnedArguments | undefined,
): LearnedArguments | 'any' | undefined {
  if (a === undefined || b === undefined) return a ?? b
  const indexes = a.arguments.filter((index) => b.arguments.includes(index))
  if (indexes.length === 0) return 'any'
  const merged = canonicalLearned({ arguments: indexes, values: [...project(a, indexes), ...project(b, indexes)] })
  return merged.values.length > MAX_LEARNED ? 'any' : merged
}

function project({ arguments: indexes, values }: LearnedArguments, kept: readonly number[]): number[][] {
  const places = kept.map((index) => indexes.indexOf(index))
  return values.map((combination) => places.map((place) => combination[place] as number))
}

/** Every combination once, in numeric order. */
export function canonicalLearned({ arguments: indexes, values }: LearnedArguments): LearnedArguments {
  const unique = new Map(values.map((combination) => [combination.join(' '), combination]))
  return { arguments: indexes, values: [...unique.values()].sort(compareNumbers) }
}

function compareNumbers(a: readonly number[], b: readonly number[]): number {
  for (const [place, number] of a.entries()) if (number !== b[place]) return number - (b[place] as number)
  return 0
}

/** What the schema cannot say. */
export function* learnedProblems(learned: LearnedArguments, at: string): Generator<string> {
  const { arguments: indexes, values } = learned
  if (indexes.some((index, place) => place > 0 && index <= (indexes[place - 1] as number)))
    yield `${at}/arguments: must be ascending, each once`
  const wrong = values.findIndex((combination) => combination.length !== indexes.length)
  if (wrong !== -1) yield `${at}/values/${wrong}: expected ${indexes.length} values, as many as arguments`
}
