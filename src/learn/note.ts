/** What the hook puts beside a record: text -> Note. Pure. */
import type { Image } from '../generated/policy.ts'
import { isObject, type Json, JsonError, parseJson } from '../json.ts'
import type { Note } from './run.ts'

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/
const DIGEST = /^sha256:[0-9a-f]{64}$/
/** What the policy's schema takes. */
const MAX_TEXT = 1024

/** What can be believed of a note; a power failure may have left anything in its place. */
export function decodeNote(text: string): Note {
  let value: Json
  try {
    value = parseJson(text)
  } catch (error) {
    if (error instanceof JsonError) return {}
    throw error
  }
  if (!isObject(value)) return {}
  const { started, container } = value
  const image = imageOf(value.image)
  return {
    ...(typeof started === 'string' && TIME.test(started) ? { started } : {}),
    ...(isText(container) ? { container } : {}),
    ...(image === undefined ? {} : { image }),
  }
}

function imageOf(value: Json | undefined): Image | undefined {
  if (!isObject(value)) return undefined
  const { name, digest } = value
  const image = {
    ...(isText(name) ? { name } : {}),
    ...(typeof digest === 'string' && DIGEST.test(digest) ? { digest } : {}),
  }
  return Object.keys(image).length === 0 ? undefined : image
}

function isText(value: Json | undefined): value is string {
  return typeof value === 'string' && value.length <= MAX_TEXT
}
