/**
 * A strict JSON parser (RFC 8259) for documents that others may have written. What JSON.parse lets pass and a security tool must
 * not: duplicate keys (RFC 8259 section 4 leaves them open; two readers may then see two documents) and integers that lose
 * precision (they become bigint here). Errors say the place as line:column.
 */

export type Json = null | boolean | number | bigint | string | Json[] | { [key: string]: Json }

export class JsonError extends Error {
  override readonly name = 'JsonError'
}

/** Deeper nesting than any document of ours or of the runtime-spec needs; keeps hostile input from overflowing the stack. */
const MAX_DEPTH = 100

const NUMBER = /-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?/y
/** What a string may not hold as it is: escapes, and control characters, which JSON forbids. */
const SPECIAL = /[\\\u0000-\u001f]/
const WORDS: readonly [string, Json][] = [
  ['true', true],
  ['false', false],
  ['null', null],
]

function isDigit(character: string | undefined): boolean {
  return character !== undefined && character >= '0' && character <= '9'
}

class Parser {
  readonly text: string
  at = 0
  depth = 0

  constructor(text: string) {
    this.text = text
  }

  fail(what: string, at = this.at): never {
    const before = this.text.slice(0, at)
    const line = before.split('\n').length
    const column = at - before.lastIndexOf('\n')
    throw new JsonError(`${what} at ${line}:${column}`)
  }

  found(): string {
    return this.at < this.text.length ? JSON.stringify(this.text[this.at]) : 'the end of the text'
  }

  space(): void {
    for (;;) {
      const code = this.text.charCodeAt(this.at)
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return
      this.at++
    }
  }

  expect(character: string): void {
    if (this.text[this.at] !== character) this.fail(`expected ${JSON.stringify(character)}, found ${this.found()}`)
    this.at++
  }

  value(): Json {
    this.space()
    const character = this.text[this.at]
    if (character === '"') return this.string()
    if (character === '{') return this.nested(() => this.object())
    if (character === '[') return this.nested(() => this.array())
    for (const [word, value] of isDigit(character) ? [] : WORDS) {
      if (this.text.startsWith(word, this.at)) {
        this.at += word.length
        return value
      }
    }
    return this.number()
  }

  nested<T>(parse: () => T): T {
    if (++this.depth > MAX_DEPTH) this.fail(`nested more than ${MAX_DEPTH} deep`)
    this.at++
    this.space()
    const value = parse()
    this.depth--
    return value
  }

  object(): { [key: string]: Json } {
    const members: { [key: string]: Json } = {}
    for (let first = true; this.text[this.at] !== '}'; first = false) {
      if (!first) this.expect(',')
      this.space()
      const start = this.at
      if (this.text[start] !== '"') this.fail(`expected a key in double quotes, found ${this.found()}`)
      const key = this.string()
      if (Object.hasOwn(members, key)) this.fail(`duplicate key ${JSON.stringify(key)}`, start)
      this.space()
      this.expect(':')
      const value = this.value()
      // An assignment to "__proto__" would set the prototype and hide the key from validation.
      if (key !== '__proto__') members[key] = value
      else Object.defineProperty(members, key, { value, enumerable: true, writable: true, configurable: true })
      this.space()
    }
    this.at++
    return members
  }

  array(): Json[] {
    const items: Json[] = []
    while (this.text[this.at] !== ']') {
      if (items.length > 0) this.expect(',')
      items.push(this.value())
      this.space()
    }
    this.at++
    return items
  }

  string(): string {
    const start = this.at
    const end = this.text.indexOf('"', start + 1)
    const plain = this.text.slice(start + 1, end)
    if (end !== -1 && !SPECIAL.test(plain)) {
      this.at = end + 1
      return plain
    }
    return this.escapedString(start)
  }

  /** The extent of the string is found here; its escapes and control characters are JSON.parse's to judge. */
  escapedString(start: number): string {
    for (this.at = start + 1; this.text[this.at] !== '"'; this.at++) {
      if (this.at >= this.text.length) this.fail('a string without an end', start)
      if (this.text[this.at] === '\\') this.at++
    }
    this.at++
    try {
      return JSON.parse(this.text.slice(start, this.at)) as string
    } catch {
      this.fail('a string with an invalid escape or a control character', start)
    }
  }

  number(): number | bigint {
    NUMBER.lastIndex = this.at
    const match = NUMBER.exec(this.text)
    if (match === null) this.fail(`expected a value, found ${this.found()}`)
    this.at = NUMBER.lastIndex
    const value = Number(match[0])
    if (!Number.isFinite(value)) this.fail('a number out of range')
    const integer = match[1] === undefined && match[2] === undefined
    return integer && !Number.isSafeInteger(value) ? BigInt(match[0]) : value
  }
}

/** Parses one JSON text. Integers beyond 2^53 - 1 come as bigint. Throws JsonError with line:column. */
export function parseJson(text: string): Json {
  return parsePlain(text) ?? parseStrictly(text)
}

/**
 * What JSON.parse makes of a text, at a fraction of the time, where that is certain to be what the parser above does: there are as many
 * members as colons behind keys, so that no key stood twice; no number is so large that it may have been another; nothing is nested deeply.
 * Undefined where it is not certain, as where a string looks like a key, and where it is not JSON. (null is not certain, either.)
 */
function parsePlain(text: string): Json | undefined {
  // Then each colon of a member stands right behind a quotation mark.
  if (text.includes(' :') || text.includes('\n:') || text.includes('\r:') || text.includes('\t:')) return undefined
  let value: Json
  try {
    value = JSON.parse(text) as Json
  } catch {
    return undefined
  }
  return countMembers([value], 0) === text.split('":').length - 1 ? value : undefined
}

/** How many members all objects in some values have together; NaN where that does not settle what they are. */
function countMembers(values: readonly Json[], depth: number): number {
  if (depth > MAX_DEPTH) return Number.NaN
  let count = 0
  for (let at = 0; at < values.length; at++) {
    const value = values[at] as Json
    if (typeof value === 'number') {
      if (!(value <= Number.MAX_SAFE_INTEGER && value >= Number.MIN_SAFE_INTEGER)) return Number.NaN
    } else if (typeof value === 'object' && value !== null) {
      if (Array.isArray(value)) count += countMembers(value, depth + 1)
      else {
        const members = Object.values(value)
        count += members.length + countMembers(members, depth + 1)
      }
    }
  }
  return count
}

function parseStrictly(text: string): Json {
  const parser = new Parser(text)
  const value = parser.value()
  parser.space()
  if (parser.at < text.length) parser.fail(`expected the end of the text, found ${parser.found()}`)
  return value
}

/** Parses one JSON text that must be an object; whatever else it is goes to `refuse`, with the place. */
export function parseObject(text: string, refuse: (problem: string) => never): { [key: string]: Json } {
  let value: Json
  try {
    value = parseJson(text)
  } catch (error) {
    if (error instanceof JsonError) return refuse(error.message)
    throw error
  }
  return isObject(value) ? value : refuse('expected a JSON object')
}

export function isObject(value: unknown): value is { [key: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
