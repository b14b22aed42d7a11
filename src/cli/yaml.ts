/** YAML, for the few commands that read or write it: the library is loaded with this module. */
import { parseDocument, stringify } from 'yaml'
import { oneLine } from '../errors.ts'
import { isObject, type Json } from '../json.ts'

/** A longer text is no document of Kubernetes'. Bytes. */
const MAX_LENGTH = 4 * 1024 * 1024

/**
 * One YAML document (JSON is one, too) that must be an object; whatever else it is goes to `refuse`. Duplicate keys are refused, aliases
 * are bounded, integers beyond 2^53 - 1 come as bigint.
 */
export function parseYamlObject(text: string, refuse: (problem: string) => never): { [key: string]: Json } {
  if (text.length > MAX_LENGTH) return refuse(`longer than ${MAX_LENGTH} characters`)
  let value: unknown
  try {
    const document = parseDocument(text, { intAsBigInt: true, uniqueKeys: true, prettyErrors: true, logLevel: 'error' })
    const [problem] = document.errors
    if (problem !== undefined) return refuse(oneLine(problem))
    value = document.toJS({ maxAliasCount: 50 })
  } catch (error) {
    return refuse(oneLine(error))
  }
  const json = plain(value, 0, refuse)
  return isObject(json) ? json : refuse('expected an object')
}

/** Only what JSON has; integers as numbers where they are exact. */
function plain(value: unknown, depth: number, refuse: (problem: string) => never): Json {
  if (depth > 100) return refuse('nested more than 100 deep')
  if (value === null || typeof value === 'boolean' || typeof value === 'string' || typeof value === 'number')
    return value
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : value
  if (Array.isArray(value)) return value.map((item) => plain(item, depth + 1, refuse))
  if (typeof value !== 'object' || value === undefined || Object.getPrototypeOf(value) !== Object.prototype)
    return refuse('a value that JSON does not have')
  const object: { [key: string]: Json } = {}
  for (const [key, member] of Object.entries(value)) {
    const json = plain(member, depth + 1, refuse)
    Object.defineProperty(object, key, { value: json, enumerable: true, writable: true, configurable: true })
  }
  return object
}

export function formatYaml(value: unknown): string {
  return stringify(value, { lineWidth: 0 })
}
