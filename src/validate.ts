/** What a validator compiled from a JSON Schema finds wrong, as lines for people: JSON pointer, what was expected, what was found. */
import type { ErrorObject, ValidateFunction } from 'ajv'
import { NAME_RULE } from './policy/name.ts'

/** More problems than this are counted, not listed. */
const MAX_PROBLEMS = 8

/** What a schema was compiled to (scripts/generate.ts): a check, and the validator that says what is wrong where the check fails. */
export interface CompiledSchema {
  readonly isValid: (value: unknown) => boolean
  readonly validator: () => ValidateFunction
}

/** The problems of a value, in one line; undefined where the value is valid. */
export function schemaProblems({ isValid, validator }: CompiledSchema, value: unknown): string | undefined {
  if (isValid(value)) return undefined
  const validate = validator()
  validate(value)
  return listProblems((validate.errors ?? []).map(describe)) || 'it is not what its JSON Schema says'
}

/** Problems ("/pointer: text") in one line, one for each place. */
export function listProblems(problems: readonly string[]): string {
  // Of the errors at one place the last says most: the alternatives of a oneOf come before the oneOf itself.
  const byPlace = new Map(problems.map((problem) => [problem.slice(0, problem.indexOf(':')), problem]))
  const texts = [...byPlace.values()]
  const rest = texts.length > MAX_PROBLEMS ? [`and ${texts.length - MAX_PROBLEMS} more`] : []
  return [...texts.slice(0, MAX_PROBLEMS), ...rest].join('; ')
}

/** What the patterns of the schemas mean, for people. */
const PATTERNS: Readonly<Record<string, string>> = {
  '^/': 'must be an absolute path',
  '^(/.+|[^/]+)$': 'must be a name or an absolute path',
  '^[^\\u0000-\\u001f\\u007f]*$': 'must be one line of text',
  '^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$': `must be a name (${NAME_RULE})`,
}

function describe({ instancePath, keyword, message, params, data }: ErrorObject): string {
  const at = instancePath || '/'
  switch (keyword) {
    case 'additionalProperties':
      return `${at}: unknown key ${JSON.stringify(params.additionalProperty)}`
    case 'oneOf': // the schemas have one: an unsigned 64-bit integer
      return `${at}: ${quote(data)} is not an integer from 0 to 2^53 - 1, nor a string with a 64-bit one`
    case 'enum':
      return `${at}: ${quote(data)} is not one of ${params.allowedValues.join(', ')}`
    default:
      return `${at}: ${PATTERNS[params.pattern] ?? message}, found ${quote(data)}`
  }
}

/** A value of a document in a message, cut to what a line has room for. */
export function quote(data: unknown): string {
  const text = JSON.stringify(data, (_, value) => (typeof value === 'bigint' ? Number(value) : value)) ?? 'nothing'
  return text.length > 60 ? `${text.slice(0, 60)}...` : text
}
