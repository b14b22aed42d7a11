/**
 * JSON Schema -> a function that tells whether a value is valid, and nothing else. The validators that ajv compiles say what is wrong,
 * and are twenty times as long for it; a hook would wait for a part of their code that it never needs. For the keywords that our
 * schemas have; any other one is an error here. The same as ajv's with strict, without unicode: test/validate.test.ts.
 */

export interface Schema {
  readonly [keyword: string]: unknown
  readonly $ref?: string
  readonly properties?: Readonly<Record<string, Schema>>
  readonly definitions?: Readonly<Record<string, Schema>>
  readonly required?: readonly string[]
  readonly items?: Schema
  readonly oneOf?: readonly Schema[]
  readonly enum?: readonly string[]
  readonly pattern?: string
}

/** Keywords that say nothing about a value, or that are looked at where `type` is. */
const SILENT = ['$schema', '$id', 'title', 'description', 'definitions', 'tsType']
const OF_TYPE: Readonly<Record<string, readonly string[]>> = {
  object: ['properties', 'required', 'additionalProperties'],
  array: ['items', 'minItems', 'maxItems', 'uniqueItems'],
  string: ['pattern', 'minLength', 'maxLength', 'enum'],
  integer: ['minimum', 'maximum'],
  boolean: [],
}

class Compiler {
  /** Declarations that the expressions need. */
  readonly declarations: string[] = []
  readonly #names = new Map<Schema, string>()
  readonly #patterns = new Map<string, string>()
  readonly #root: Schema
  /** What each name that is declared begins with. */
  readonly #prefix: string

  constructor(root: Schema, prefix: string) {
    this.#root = root
    this.#prefix = prefix
  }

  /** An expression that is true where the value of another one is valid. */
  test(schema: Schema, value: string): string {
    const { type, $ref } = schema
    if ($ref !== undefined) return this.#reference($ref, value)
    this.#refuseUnknown(schema)
    if (schema.oneOf !== undefined) {
      const counted = schema.oneOf.map((one) => `Number(${this.test(one, value)})`)
      return `${counted.join(' + ')} === 1`
    }
    if ('const' in schema) return `${value} === ${JSON.stringify(schema.const)}`
    const list = schema.enum?.map((word) => `${value} === ${JSON.stringify(word)}`).join(' || ')
    switch (type) {
      case 'boolean':
        return `typeof ${value} === 'boolean'`
      case 'integer':
        return all(`Number.isInteger(${value})`, this.#limits(schema, value, 'minimum', 'maximum'))
      case 'string':
        return all(
          `typeof ${value} === 'string'`,
          this.#limits(schema, `${value}.length`, 'minLength', 'maxLength'),
          schema.pattern === undefined ? undefined : `${this.#pattern(schema.pattern)}.test(${value})`,
          list && `(${list})`,
        )
      case 'array':
      case 'object':
        return `${this.#function(schema)}(${value})`
      default:
        return `(${list})`
    }
  }

  #reference($ref: string, value: string): string {
    const name = /^#\/definitions\/(\w+)$/.exec($ref)?.[1]
    const schema = name === undefined ? undefined : this.#root.definitions?.[name]
    if (schema === undefined) throw new Error(`${$ref}: there is no such definition`)
    return `${this.#function(schema, name)}(${value})`
  }

  #refuseUnknown(schema: Schema): void {
    const { type } = schema
    const said = Object.keys(schema).filter((keyword) => !SILENT.includes(keyword))
    const known = type === undefined ? ['oneOf', 'const', 'enum'] : ['type', ...(OF_TYPE[String(type)] ?? [])]
    const unknown = said.filter((keyword) => !known.includes(keyword))
    if (type !== undefined && !(String(type) in OF_TYPE)) unknown.push(`type ${type}`)
    if (unknown.length === 0 && said.length > 0) return
    throw new Error(`${JSON.stringify(schema)} cannot be compiled: ${unknown.join(', ') || 'it says nothing'}`)
  }

  #limits(schema: Schema, value: string, least: string, most: string): string | undefined {
    const tests = [
      ...(schema[least] === undefined ? [] : [`${value} >= ${schema[least]}`]),
      ...(schema[most] === undefined ? [] : [`${value} <= ${schema[most]}`]),
    ]
    return tests.join(' && ') || undefined
  }

  #pattern(pattern: string): string {
    const known = this.#patterns.get(pattern)
    if (known !== undefined) return known
    const own = `${this.#prefix}Pattern${this.#patterns.size}`
    this.#patterns.set(pattern, own)
    this.declarations.push(`const ${own} = new RegExp(${JSON.stringify(pattern)}, 'u')`)
    return own
  }

  #function(schema: Schema, name = 'part'): string {
    const known = this.#names.get(schema)
    if (known !== undefined) return known
    const own = `${this.#prefix}_${name}${this.#names.size}`
    this.#names.set(schema, own)
    this.declarations.push(`function ${own}(v: any): boolean {\n${this.#body(schema)}\n}`)
    return own
  }

  #body(schema: Schema): string {
    if (schema.type === 'object') return this.#object(schema)
    if (schema.type === 'array') return this.#array(schema)
    return `return ${this.test(schema, 'v')}`
  }

  #object(schema: Schema): string {
    this.#refuseUnknown(schema)
    if (schema.additionalProperties !== false) throw new Error('expected additionalProperties: false')
    const cases = Object.entries(schema.properties ?? {}).map(
      ([key, one]) => `case ${JSON.stringify(key)}: if (!(${this.test(one, 'w')})) return false; break`,
    )
    const required = (schema.required ?? []).map((key) => `v[${JSON.stringify(key)}] !== undefined`)
    return [
      "if (typeof v !== 'object' || v === null || Array.isArray(v)) return false",
      'for (const k in v) {',
      'const w = v[k]',
      `switch (k) { ${cases.join('\n')}\ndefault: return false }`,
      '}',
      `return ${required.join(' && ') || 'true'}`,
    ].join('\n')
  }

  #array(schema: Schema): string {
    this.#refuseUnknown(schema)
    // As equal strings are.
    if (schema.uniqueItems !== undefined && schema.items?.type !== 'string')
      throw new Error('uniqueItems: expected strings')
    return [
      `if (!(${all('Array.isArray(v)', this.#limits(schema, 'v.length', 'minItems', 'maxItems'))})) return false`,
      ...(schema.items === undefined
        ? []
        : [`for (const w of v) if (!(${this.test(schema.items, 'w')})) return false`]),
      `return ${schema.uniqueItems === true ? 'new Set(v).size === v.length' : 'true'}`,
    ].join('\n')
  }
}

function all(...tests: readonly (string | undefined)[]): string {
  return tests.filter((test) => test !== undefined).join(' && ')
}

/** The text of a TypeScript module that exports a (value: unknown) => boolean for each schema, by the name of the function. */
export function compileChecks(schemas: Readonly<Record<string, Schema>>): string {
  const parts = Object.entries(schemas).flatMap(([name, schema]) => {
    const compiler = new Compiler(schema, name)
    const test = compiler.test(schema, 'value')
    return [...compiler.declarations, `export const ${name} = (value: unknown): boolean => ${test}`]
  })
  return `${parts.join('\n')}\n`
}
