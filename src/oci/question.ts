/**
 * What is asked about a container: the part of what is known of it that a decision may depend on. Whoever decides is given nothing else, so
 * that a question that has been answered once has the same answer again (src/enforce/remember.ts). The helper works out the same text from the
 * same state or configuration (tracer/repeat/question.c), with the keys that scripts/generate-headers.ts writes down for it.
 */
import { HANDLER_KEYS, PREFIX } from './annotations.ts'
import { IMAGE_KEYS } from './image.ts'
import type { Status } from './state.ts'

type Annotations = Readonly<Record<string, string>>

/** Who asks: a hook, by the container's status; the shim or the hook precreate, before there is one; the shim, which only needs the runtime. */
export type Subject = Status | ReturnType<typeof shimSubject> | 'precreate' | 'runtime'

/** The shim's: what else of a configuration may decide about the way into force. */
export function shimSubject(seccomp: boolean, noNewPrivileges: boolean) {
  return `shim${seccomp ? ' seccomp' : ''}${noNewPrivileges ? ' noNewPrivileges' : ''}` as const
}

/** The keys that decide, besides those that begin with PREFIX; sorted. */
export const DECIDING_KEYS: readonly string[] = [...IMAGE_KEYS, ...HANDLER_KEYS].sort()

export function decidingAnnotations(annotations: Annotations): Record<string, string> {
  return Object.fromEntries(
    Object.entries(annotations).filter(([key]) => key.startsWith(PREFIX) || DECIDING_KEYS.includes(key)),
  )
}

/** More than any manager writes; tracer/repeat/question.h has the same. Bytes. */
const MAX_SIZE = 16_000

/** What the helper reads in another way, if at all: then there is no question that both know. */
const PLAIN_KEY = /^[\u0001-\u007f]*$/

/**
 * The question as bytes: the subject, then each annotation behind the lengths of its key and value, so that no two questions have the same
 * ones. `annotations`: those that decide. Undefined where the helper would not read the same.
 */
export function encodeQuestion(subject: Subject, annotations: Annotations): string | undefined {
  const keys = Object.keys(annotations).sort()
  if (!keys.every((key) => PLAIN_KEY.test(key))) return undefined
  const lines = keys.map((key) => {
    const value = annotations[key] as string
    return `${key.length} ${Buffer.byteLength(value)} ${key}=${value}\n`
  })
  const text = `${subject}\n${lines.join('')}`
  return text.includes('\0') || !text.isWellFormed() || Buffer.byteLength(text) > MAX_SIZE ? undefined : text
}
