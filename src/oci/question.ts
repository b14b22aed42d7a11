/**
 * What the enforce hook is asked: the part of a container's state that its decision may depend on. It is given nothing else, so that a
 * question that has been answered once has the same answer again (src/enforce/remember.ts). The helper works out the same text from the same
 * state (tracer/question.c), with the keys that scripts/generate-annotations.ts writes down for it.
 */
import { PREFIX } from './annotations.ts'
import { IMAGE_KEYS } from './image.ts'
import type { State } from './state.ts'

/** The keys that decide, besides those that begin with PREFIX; sorted. */
export const DECIDING_KEYS: readonly string[] = [...IMAGE_KEYS].sort()

export function decidingAnnotations({ annotations }: State): Record<string, string> {
  return Object.fromEntries(
    Object.entries(annotations).filter(([key]) => key.startsWith(PREFIX) || DECIDING_KEYS.includes(key)),
  )
}

/** More than any manager writes; tracer/question.h has the same. Bytes. */
const MAX_SIZE = 16_000

/** What the helper reads in another way, if at all: then there is no question that both know. */
const PLAIN_KEY = /^[\u0001-\u007f]*$/

/**
 * The question as bytes: the status, then each annotation behind the lengths of its key and value, so that no two questions have the same
 * ones. `annotations`: those that decide. Undefined where the helper would not read the same in the state.
 */
export function encodeQuestion({ status, annotations }: Pick<State, 'status' | 'annotations'>): string | undefined {
  const keys = Object.keys(annotations).sort()
  if (!keys.every((key) => PLAIN_KEY.test(key))) return undefined
  const lines = keys.map((key) => {
    const value = annotations[key] as string
    return `${key.length} ${Buffer.byteLength(value)} ${key}=${value}\n`
  })
  const text = `${status}\n${lines.join('')}`
  return text.includes('\0') || !text.isWellFormed() || Buffer.byteLength(text) > MAX_SIZE ? undefined : text
}
