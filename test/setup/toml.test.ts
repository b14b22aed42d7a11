/** The reader of TOML: what it takes, and that it refuses what is none. */
import { test } from 'tap'
import { at, parseToml, tomlString } from '../../src/setup/toml.ts'

test('a document with everything in it', async (t) => {
  const text = String.raw`
# a comment
title = "a \"b\" \u00e9 \\ \t" # another
"quoted key" = 'C:\raw'
dotted.a.b = 1
dotted."c.d" = true
numbers = [ 1, +2, -3, 1_000, 0xff, 0o17, 0b11, 1.5, 6e2, -0.01e-2, inf, -inf,
  # in an array
]
dates = [1979-05-27T07:32:00Z, 1979-05-27 07:32:00, 1979-05-27, 07:32:00.5]
inline = { x = 1, y.z = "w", list = [{ a = 1 }, {}] }
empty = []
long = """
one \
   two
"three""""
raw = '''
\n'''
[table]
a = 1
[table.sub]
b = false
[other."a.b".c]
d = ""
[[list]]
n = 1
[list.deep]
m = 1
[[list]]
n = 2
[plugins]
  [plugins."io.x"]
    k = "v"
`
  const table = parseToml(text)
  t.match(table, {
    title: 'a "b" \u00e9 \\ \t',
    'quoted key': 'C:\\raw',
    dotted: { a: { b: 1 }, 'c.d': true },
    numbers: [1, 2, -3, 1000, 255, 15, 3, 1.5, 600, -0.0001, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY],
    inline: { x: 1, y: { z: 'w' }, list: [{ a: 1 }, {}] },
    empty: [],
    long: 'one two\n"three"',
    raw: '\\n',
    table: { a: 1, sub: { b: false } },
    other: { 'a.b': { c: { d: '' } } },
    list: [{ n: 1, deep: { m: 1 } }, { n: 2 }],
  })
  t.equal(at(table, 'plugins', 'io.x', 'k'), 'v')
  t.equal(at(table, 'plugins', 'absent', 'k'), undefined)
  t.equal(at(table, 'title', 'length'), undefined, 'a string has no keys')
  t.equal(at(table, 'constructor'), undefined, 'nor has a table others than its own')
})

test('line ends of Windows, a byte order mark, no last line end, nothing at all', async (t) => {
  t.same(parseToml('\ufeffa = 1\r\n\r\n[b] # c\r\nd = """x\r\ny"""\r\n'), { a: 1, b: { d: 'x\r\ny' } })
  t.same(parseToml('a = 1'), { a: 1 })
  t.same(parseToml('a = 1 # end'), { a: 1 })
  t.same(parseToml(''), {})
  t.same(parseToml('\n# only a comment'), {})
})

test('tables may be given in any order, and added to from above', async (t) => {
  t.same(parseToml('[a.b.c]\nx = 1\n[a]\ny = 2\n[a.b]\nz = 3'), { a: { b: { c: { x: 1 }, z: 3 }, y: 2 } })
  t.same(parseToml('[fruit]\napple.color = 1\n[fruit.apple.taste]\nx = 1'), {
    fruit: { apple: { color: 1, taste: { x: 1 } } },
  })
})

test('what is no TOML', async (t) => {
  const cases: [text: string, message: RegExp][] = [
    ['a', /expected = at 1:2/],
    ['a =', /expected a value at 1:4/],
    ['= 1', /expected a key at 1:1/],
    ['a = 1 b = 2', /expected the end of the line at 1:6/],
    ['a = 1\na = 2', /a is defined twice at 2:1/],
    ['a.b = 1\na.b = 2', /b is defined twice at 2:1/],
    ['a = 1\na.b = 2', /a is no table at 2:1/],
    ['[a]\n[a]', /a is defined twice at 2:2/],
    ['a.b = 1\n[a]', /a is defined twice/],
    ['a = { b = 1 }\n[a]', /a is defined twice/],
    ['a = { b = 1 }\n[a.c]', /a is defined twice/],
    ['a = { b = 1 }\na.c = 1', /a is defined twice/],
    ['[a.b]\n[a]\nb.c = 1', /b is defined twice/],
    ['[a]\n[[a]]', /a is defined twice/],
    ['a = []\n[[a]]', /a is defined twice/],
    ['[[a]]\n[a]', /a is defined twice/],
    ['[a', /expected \] at 1:3/],
    ['[[a]', /expected \]\] at 1:4/],
    ['[]', /expected a key/],
    ['a = "x', /a string without an end at 1:5/],
    ['a = "x\ny"', /a string without an end/],
    ['a = """x', /a string without an end/],
    ["a = '''x''", /a string without an end/],
    ['a = "\\q"', /an invalid escape at 1:6/],
    ['a = "\\ud800"', /an invalid escape/],
    ['a = "\u0001"', /a control character/],
    ['a = [1, 2', /expected \] at 1:10/],
    ['a = [1 2]', /expected a value|expected \]/],
    ['a = { b = 1, }', /expected a key/],
    ['a = { b = 1 c = 2 }', /expected , or }/],
    ['a = { b = 1\n}', /expected , or }/],
    ['a = 01', /expected a value/],
    ['a = 1__0', /expected a value/],
    ['a = .5', /expected a value/],
    ['a = True', /expected a value/],
    ['a = yes', /expected a value/],
    ['a = 1979-05', /expected a value/],
    [`a = ${'['.repeat(200)}`, /nested more than 100 deep/],
    ['# \u0001', /expected/],
  ]
  for (const [text, message] of cases)
    t.throws(() => parseToml(text), { name: 'TomlError', message }, JSON.stringify(text.slice(0, 40)))
})

test('__proto__ is a key like others', async (t) => {
  const table = parseToml('[__proto__]\npolluted = 1')
  t.ok(Object.hasOwn(table, '__proto__'))
  t.equal(({} as { polluted?: number }).polluted, undefined)
})

test('a string that is written is read as the same', async (t) => {
  for (const text of ['', 'a"b\\c', '/usr/bin/x', 'é\t\n\u0001\u007f', "'", '#']) {
    t.same(parseToml(`a = ${tomlString(text)}`), { a: text })
  }
})
