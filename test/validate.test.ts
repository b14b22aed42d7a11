/** The checks that hooks make do with say of a document what the validators say that ajv makes of the same JSON Schema. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { compileChecks, type Schema } from '../scripts/compile-check.ts'
import { isConfig, isPolicy } from '../src/generated/check.ts'
import { validators } from '../src/generated/validate.js'
import { type Json, parseJson } from '../src/json.ts'
import { schemaProblems } from '../src/validate.ts'

const ROOT = join(import.meta.dirname, '..')
const { validatePolicy, validateConfig } = validators()

/** A text for each pattern of the schemas. */
const EXAMPLES: Readonly<Record<string, string>> = {
  '^/': '/bin/true',
  '^(/.+|[^/]+)$': 'runc',
  '^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$': 'name-1',
  '^[a-zA-Z_][a-zA-Z0-9_]{0,63}$': 'read',
  '^[^\\u0000-\\u001f\\u007f]*$': 'a line',
  '^(unix|abstract|inet|inet6|other|[0-9]{1,5})$': 'inet6',
  '^[0-9a-f.:]{2,45}$': '::1',
  '^(0|[1-9][0-9]{0,19}|0x[0-9a-f]{1,16})$': '0xff',
  '^sha256:[0-9a-f]{64}$': `sha256:${'0'.repeat(64)}`,
  '^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z$': '2026-01-01T00:00:00.000Z',
  '^[a-z][a-z0-9-]{0,31}$': 'docker',
}

/** A document that has everything that a schema knows. */
function whole(schema: Schema, root: Schema): Json {
  if (schema.$ref !== undefined) return whole(root.definitions?.[schema.$ref.slice(14)] as Schema, root)
  if (schema.oneOf !== undefined) return whole(schema.oneOf.at(-1) as Schema, root)
  if ('const' in schema) return schema.const as Json
  if (schema.enum !== undefined) return schema.enum[0] as Json
  switch (schema.type) {
    case 'boolean':
      return true
    case 'integer':
      return (schema.minimum ?? 0) as number
    case 'array':
      return [whole(schema.items as Schema, root)]
    case 'object':
      return Object.fromEntries(Object.entries(schema.properties ?? {}).map(([key, one]) => [key, whole(one, root)]))
    default:
      return schema.pattern === undefined ? 'text' : (EXAMPLES[schema.pattern] as string)
  }
}

/** What takes a value's place. */
function others(value: Json): Json[] {
  const words = [null, true, false, 0, -1, 1, 2, 5, 6, 1.5, 65536, 2 ** 31, 2 ** 53, 10n ** 19n, [], {}, [[]]]
  const texts = ['', ' ', 'a\nb', '\ud800', '/', 'x'.repeat(200), 'x'.repeat(5000), '18446744073709551616', '0X1']
  const list = Array.isArray(value)
    ? [[...value, ...value], value.slice(1), [...value, null], Array(8).fill(value[0]), Array(9000).fill(value[0])]
    : []
  return [...words, ...texts, ...list]
}

/** Each document in which one thing is another one, missing or too much. */
function* changed(value: Json): Generator<Json> {
  yield* others(value)
  if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) for (const other of changed(item)) yield value.with(index, other)
  } else if (typeof value === 'object' && value !== null) {
    for (const key of ['more', '__proto__', 'constructor', ''])
      yield Object.defineProperty({ ...value }, key, { value: 1, enumerable: true }) as Json
    for (const [key, item] of Object.entries(value)) {
      const { [key]: _, ...rest } = value
      yield rest
      for (const other of changed(item)) yield { ...value, [key]: other }
    }
  }
}

for (const [name, check, validate] of [
  ['policy', isPolicy, validatePolicy],
  ['config', isConfig, validateConfig],
] as const) {
  t.test(name, async (t) => {
    const schema = JSON.parse(readFileSync(join(ROOT, `schema/${name}.schema.json`), 'utf8'))
    const corpus = join(ROOT, 'test/corpus', name)
    const documents = readdirSync(corpus).map((file) => parseJson(readFileSync(join(corpus, file), 'utf8')))
    const all = whole(schema, schema)
    t.equal(check(all), true, 'what has everything is valid')
    const counts = { valid: 0, invalid: 0 }
    for (const document of [all, ...documents].flatMap((one) => [one, ...changed(one)])) {
      const valid = check(document)
      if (valid !== validate(document)) {
        t.fail(
          `${valid ? 'valid' : 'invalid'} for the check alone: ${schemaProblems({ isValid: () => false, validator: () => validate }, document)}`,
        )
      }
      counts[valid ? 'valid' : 'invalid']++
    }
    t.ok(counts.valid > 100 && counts.invalid > 1000, JSON.stringify(counts))
  })
}

t.test('a schema that is beyond the compiler', async (t) => {
  const beyond: [schema: Schema, message: RegExp][] = [
    [{ type: 'number' }, /cannot be compiled: type number/],
    [{ type: 'string', format: 'date' }, /cannot be compiled: format/],
    [{ type: 'object', properties: {} }, /expected additionalProperties: false/],
    [{ type: 'array', uniqueItems: true, items: { type: 'integer' } }, /uniqueItems: expected strings/],
    [{ $ref: '#/definitions/missing' }, /there is no such definition/],
    [{ title: 'anything' }, /cannot be compiled: it says nothing/],
  ]
  for (const [schema, message] of beyond) t.throws(() => compileChecks({ isIt: schema }), { message })
})
