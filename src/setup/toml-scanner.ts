/** The characters of a TOML document: where the reader is, what it takes from there, and strings. */

export class TomlError extends Error {
  override readonly name = 'TomlError'
}

const ESCAPES: Readonly<Record<string, string>> = {
  b: '\b',
  t: '\t',
  n: '\n',
  f: '\f',
  r: '\r',
  '"': '"',
  '\\': '\\',
}

export class TomlScanner {
  readonly text: string
  at = 0

  constructor(text: string) {
    this.text = text
  }

  fail(what: string, at = this.at): never {
    const before = this.text.slice(0, at)
    throw new TomlError(`${what} at ${before.split('\n').length}:${at - before.lastIndexOf('\n')}`)
  }

  match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.at
    const found = pattern.exec(this.text)?.[0]
    if (found !== undefined) this.at += found.length
    return found
  }

  take(literal: string): boolean {
    if (!this.text.startsWith(literal, this.at)) return false
    this.at += literal.length
    return true
  }

  expect(literal: string): void {
    if (!this.take(literal)) this.fail(`expected ${literal}`)
  }

  string(): string {
    const start = this.at
    const quote = this.text[this.at++] as string
    let text = ''
    for (;;) {
      const character = this.text[this.at]
      if (character === undefined || character === '\n') this.fail('a string without an end', start)
      this.at++
      if (character === quote) return text
      text += character === '\\' && quote === '"' ? this.escape() : this.plain(character)
    }
  }

  longString(): string {
    const start = this.at
    const quote = this.text.slice(start, start + 3)
    this.at += 3
    if (!this.take('\n')) this.take('\r\n')
    let text = ''
    for (;;) {
      if (this.text.startsWith(quote, this.at)) {
        // Up to two quotation marks may stand right before the three that end it.
        let end = this.at + 3
        while (end < this.at + 5 && this.text[end] === quote[0]) end++
        text += this.text.slice(this.at, end - 3)
        this.at = end
        return text
      }
      const character = this.text[this.at++]
      if (character === undefined) this.fail('a string without an end', start)
      if (character === '\\' && quote === '"""')
        text += this.match(/[ \t]*\r?\n\s*/y) === undefined ? this.escape() : ''
      else
        text +=
          character === '\n' || (character === '\r' && this.text[this.at] === '\n') ? character : this.plain(character)
    }
  }

  plain(character: string): string {
    const code = character.charCodeAt(0)
    if ((code < 0x20 && code !== 0x09) || code === 0x7f) this.fail('a control character in a string', this.at - 1)
    return character
  }

  escape(): string {
    const start = this.at - 1
    const letter = this.text[this.at++] as string
    const simple = own(ESCAPES, letter)
    if (simple !== undefined) return simple
    const digits =
      letter === 'u' ? this.match(/[0-9A-Fa-f]{4}/y) : letter === 'U' ? this.match(/[0-9A-Fa-f]{8}/y) : undefined
    const code = digits === undefined ? Number.NaN : Number.parseInt(digits, 16)
    if (!(code <= 0x10ffff) || (code >= 0xd800 && code <= 0xdfff)) this.fail('an invalid escape', start)
    return String.fromCodePoint(code)
  }
}

/** A property of the table's own. */
export function own<T>(table: Readonly<Record<string, T>>, key: string): T | undefined {
  return Object.hasOwn(table, key) ? table[key] : undefined
}
