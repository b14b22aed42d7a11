/** What doctor says of one thing. */
import { oneLine } from '../errors.ts'

export type Finding = {
  readonly check: string
  readonly state: 'ok' | 'warning' | 'problem'
  readonly found: string
  /** What to do about it. */
  readonly remedy?: string
}

/** The finding of a test that says what is there, or throws what is wrong. */
export function attempt(check: string, test: () => string, remedy: string): Finding {
  try {
    return { check, state: 'ok', found: test() }
  } catch (error) {
    return { check, state: 'problem', found: oneLine(error), remedy }
  }
}
