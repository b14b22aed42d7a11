/**
 * A strict reader of TOML (toml.io/en/v1.0.0): the files that are edited here belong to other programs, and what we cannot read we must not
 * change. Errors say the place as line:column.
 */

import { own, TomlScanner } from './toml-scanner.ts'

export type Toml = string | number | boolean | TomlDate | Toml[] | TomlTable
export interface TomlTable {
  [key: string]: Toml
}
/** A date or a time, as it was written: nothing here looks into one. */
export class TomlDate {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }
}

/** How a table came to be decides what may be added to it. */
type Origin = 'path' | 'header' | 'dotted' | 'inline'

const BARE_KEY = /[A-Za-z0-9_-]+/y
const SPACE = /[ \t]*/y
/** Blanks, line ends and comments between the values of an array. */
const GAP = /(?:[ \t\n]|\r\n|#[^\n]*)*/y
const LINE_END = /[ \t]*(?:#[^\n\u0000-\u0008\u000b-\u001f\u007f]*\r?)?(?:\r?\n|$)/y
const SCALAR = /[^\s,\]}#]+(?: [0-9][^\s,\]}#]*)?/y
const INTEGER =
  /^(?:[+-]?(?:0|[1-9](?:_?[0-9])*)|0x[0-9A-Fa-f](?:_?[0-9A-Fa-f])*|0o[0-7](?:_?[0-7])*|0b[01](?:_?[01])*)$/
const FLOAT = /^[+-]?(?:(?:0|[1-9](?:_?[0-9])*)(?:\.[0-9](?:_?[0-9])*)?(?:[eE][+-]?[0-9](?:_?[0-9])*)?|inf|nan)$/
const DATE =
  /^(?:\d{4}-\d{2}-\d{2}(?:[Tt ]\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:[Zz]|[+-]\d{2}:\d{2})?)?|\d{2}:\d{2}:\d{2}(?:\.\d+)?)$/
/** Deeper than any configuration; keeps hostile input from overflowing the stack. */
const MAX_DEPTH = 100

class Parser extends TomlScanner {
  readonly root: TomlTable = {}
  readonly origins = new WeakMap<TomlTable, Origin>()
  /** Arrays that [[headers]] made, and that others may therefore be added to. */
  readonly open = new WeakSet<Toml[]>()
  depth = 0

  document(): TomlTable {
    let table = this.root
    this.take('\ufeff')
    while (this.at < this.text.length) {
      this.match(SPACE)
      if (this.match(LINE_END) !== undefined) continue
      if (this.take('[[')) table = this.header(']]', true)
      else if (this.take('[')) table = this.header(']', false)
      else this.pair(table)
      if (this.match(LINE_END) === undefined) this.fail('expected the end of the line')
    }
    return this.root
  }

  header(end: string, array: boolean): TomlTable {
    const start = this.at
    const keys = this.path()
    this.expect(end)
    const last = keys.pop() as string
    let table = this.root
    for (const key of keys) table = this.descend(table, key, 'path', start)
    return array ? this.element(table, last, start) : this.define(table, last, start)
  }

  define(parent: TomlTable, key: string, start: number): TomlTable {
    const known = own(parent, key)
    if (known !== undefined && !(isTable(known) && this.origins.get(known) === 'path')) {
      this.fail(`${key} is defined twice`, start)
    }
    const table = known === undefined ? set(parent, key, {}) : (known as TomlTable)
    this.origins.set(table, 'header')
    return table
  }

  element(parent: TomlTable, key: string, start: number): TomlTable {
    const known = own(parent, key)
    const list = known === undefined ? set(parent, key, [] as Toml[]) : known
    if (!Array.isArray(list) || (known !== undefined && !this.open.has(list)))
      this.fail(`${key} is defined twice`, start)
    this.open.add(list)
    const table: TomlTable = {}
    this.origins.set(table, 'header')
    list.push(table)
    return table
  }

  /** The table below a key, made where there is none. */
  descend(parent: TomlTable, key: string, origin: Origin, start: number): TomlTable {
    const known = own(parent, key)
    if (known === undefined) {
      const table = set(parent, key, {} as TomlTable)
      this.origins.set(table, origin)
      return table
    }
    const table = Array.isArray(known) && this.open.has(known) && origin === 'path' ? known.at(-1) : known
    if (!isTable(table)) this.fail(`${key} is no table`, start)
    const was = this.origins.get(table)
    // Dotted keys may add to what dotted keys made; headers to all but inline tables.
    if (was === 'inline' || (origin === 'dotted' && was !== 'dotted')) this.fail(`${key} is defined twice`, start)
    return table
  }

  pair(table: TomlTable): void {
    const start = this.at
    const keys = this.path()
    this.expect('=')
    this.match(SPACE)
    const last = keys.pop() as string
    let target = table
    for (const key of keys) target = this.descend(target, key, 'dotted', start)
    if (own(target, last) !== undefined) this.fail(`${last} is defined twice`, start)
    set(target, last, this.value())
  }

  path(): string[] {
    const keys: string[] = []
    do {
      this.match(SPACE)
      const quote = this.text[this.at]
      const key = quote === '"' || quote === "'" ? this.string() : this.match(BARE_KEY)
      if (key === undefined) this.fail('expected a key')
      keys.push(key)
      this.match(SPACE)
    } while (this.take('.'))
    return keys
  }

  value(): Toml {
    const start = this.at
    switch (this.text[start]) {
      case '"':
      case "'":
        return this.text.startsWith(this.text[start]?.repeat(3) as string, start) ? this.longString() : this.string()
      case '[':
        return this.nested(() => this.array())
      case '{':
        return this.nested(() => this.inline())
    }
    const text = this.match(SCALAR)
    if (text === 'true' || text === 'false') return text === 'true'
    if (text !== undefined && DATE.test(text)) return new TomlDate(text)
    if (text !== undefined && (INTEGER.test(text) || FLOAT.test(text))) return numberOf(text)
    return this.fail('expected a value', start)
  }

  nested<T>(parse: () => T): T {
    if (++this.depth > MAX_DEPTH) this.fail(`nested more than ${MAX_DEPTH} deep`)
    this.at++
    const value = parse()
    this.depth--
    return value
  }

  array(): Toml[] {
    const items: Toml[] = []
    for (;;) {
      this.match(GAP)
      if (this.take(']')) return items
      items.push(this.value())
      this.match(GAP)
      if (!this.take(',')) {
        this.expect(']')
        return items
      }
    }
  }

  inline(): TomlTable {
    const table: TomlTable = {}
    this.origins.set(table, 'dotted')
    this.match(SPACE)
    while (!this.take('}')) {
      this.pair(table)
      this.match(SPACE)
      if (this.take(',')) {
        this.match(SPACE)
        if (this.text[this.at] === '}') this.fail('expected a key')
      } else if (this.text[this.at] !== '}') this.fail('expected , or }')
    }
    this.seal(table)
    return table
  }

  /** Nothing can be added to an inline table, nor to what dotted keys made in it. */
  seal(table: TomlTable): void {
    this.origins.set(table, 'inline')
    for (const value of Object.values(table)) if (isTable(value)) this.seal(value)
  }
}

function numberOf(text: string): number {
  const plain = text.replaceAll('_', '')
  const infinite = /^([+-]?)inf$/.exec(plain)
  if (infinite) return infinite[1] === '-' ? -Infinity : Infinity
  return plain.endsWith('nan') ? Number.NaN : Number(plain)
}

/** defineProperty, as an assignment to "__proto__" would set the prototype. */
function set<T extends Toml>(table: TomlTable, key: string, value: T): T {
  Object.defineProperty(table, key, { value, enumerable: true, writable: true, configurable: true })
  return value
}

export function isTable(value: Toml | undefined): value is TomlTable {
  return typeof value === 'object' && !Array.isArray(value) && !(value instanceof TomlDate)
}

/** Parses a document. Throws TomlError. */
export function parseToml(text: string): TomlTable {
  return new Parser(text).document()
}

/** The value at the end of a path of keys, or undefined. */
export function at(table: TomlTable, ...keys: readonly string[]): Toml | undefined {
  let value: Toml | undefined = table
  for (const key of keys) value = isTable(value) ? own(value, key) : undefined
  return value
}

/** A string as TOML's basic string. */
export function tomlString(text: string): string {
  // JSON's escapes are all TOML's too, and DEL, which JSON leaves, cannot stand in a TOML string.
  return JSON.stringify(text).replaceAll('\u007f', '\\u007f')
}
