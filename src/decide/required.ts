/** What the host requires of a container, whatever its annotations say. Pure. */
import type { Image } from '../generated/policy.ts'
import type { Mode } from '../oci/annotations.ts'

/** A rule of the host configuration's `required` (schema/config.schema.json). */
export interface Requirement {
  readonly image?: string
  readonly podSandbox?: boolean
  readonly mode: Mode | 'none'
  readonly policy?: string
}

/** What a rule can tell containers apart by. */
export interface Subject {
  readonly image: Image | undefined
  readonly podSandbox: boolean
}

export interface Required {
  readonly mode: Mode
  readonly policy?: string
}

/** What the first rule that matches requires, or undefined. A rule with an image never matches where the runtime tells none. */
export function requiredOf(rules: readonly Requirement[], subject: Subject): Required | undefined {
  const rule = rules.find((candidate) => matches(candidate, subject))
  if (rule === undefined || rule.mode === 'none') return undefined
  return { mode: rule.mode, ...(rule.policy === undefined ? {} : { policy: rule.policy }) }
}

function matches({ image, podSandbox }: Requirement, subject: Subject): boolean {
  if (podSandbox !== undefined && podSandbox !== subject.podSandbox) return false
  const names = [subject.image?.name, subject.image?.digest]
  return image === undefined || names.some((name) => name !== undefined && matchesPattern(image, name))
}

/** Whether a pattern (* any text, ? any one character, all else itself) is the whole text. Time: at most pattern times text. */
export function matchesPattern(pattern: string, text: string): boolean {
  let at = 0
  let star = -1
  let resume = 0
  for (let index = 0; index < text.length; ) {
    if (pattern[at] === '*') {
      star = at++
      resume = index
    } else if (at < pattern.length && (pattern[at] === '?' || pattern[at] === text[index])) {
      at++
      index++
    } else if (star !== -1) {
      at = star + 1
      index = ++resume
    } else return false
  }
  while (pattern[at] === '*') at++
  return at === pattern.length
}

/** What is wrong with a list of rules that are each well formed: "/required/1: problem". */
export function requirementProblems(rules: readonly Requirement[]): string[] {
  const all = rules.findIndex(({ image, podSandbox }) => image === undefined && podSandbox === undefined)
  return rules.flatMap(({ mode, policy }, index) => [
    ...(all !== -1 && index > all
      ? [`/required/${index}: is never reached, as /required/${all} matches every container`]
      : []),
    ...(mode === 'none' && policy !== undefined
      ? [`/required/${index}/policy: is never used, as the mode is none`]
      : []),
  ])
}
