import { test } from 'tap'
import { JsonError, parseJson } from '../src/json.ts'

test('parses what JSON.parse parses', async (t) => {
  for (const text of [
    '{}',
    '[]',
    ' [1, -2.5e3, "a\\u00e9\\n", true, false, null, {"a":{"b":[[]]}}] ',
    '0',
    '"\\\\"',
    '-0.5',
    '1E2',
  ]) {
    t.same(parseJson(text), JSON.parse(text), text)
  }
})

test('integers beyond 2^53 - 1 come as bigint, exact', async (t) => {
  t.equal(parseJson('9007199254740991'), 9007199254740991)
  t.equal(parseJson('9007199254740992'), 9007199254740992n)
  t.equal(parseJson('18446744073709551615'), 18446744073709551615n)
  t.equal(parseJson('-9007199254740993'), -9007199254740993n)
})

test('refuses what is not JSON, and says where', async (t) => {
  const cases: [text: string, message: RegExp][] = [
    ['', /expected a value, found the end of the text at 1:1/],
    ['{"a":1', /expected ",", found the end of the text at 1:7/],
    ['{"a":1,}', /expected a key in double quotes, found "}" at 1:8/],
    ['[1,]', /expected a value, found "\]" at 1:4/],
    ['{"a" 1}', /expected ":", found "1" at 1:6/],
    ["{'a':1}", /expected a key in double quotes/],
    ['01', /expected the end of the text, found "1" at 1:2/],
    ['+1', /expected a value/],
    ['.5', /expected a value/],
    ['NaN', /expected a value/],
    ['1e999', /a number out of range/],
    ['"a\nb"', /control character at 1:1/],
    ['"\\x"', /invalid escape/],
    ['"abc', /a string without an end at 1:1/],
    ['"abc\\', /a string without an end/],
    ['{}{}', /expected the end of the text, found "{" at 1:3/],
    ['{\n  "a": 1,\n  "b": tru\n}', /expected a value, found "t" at 3:8/],
    ['[[', /expected a value, found the end of the text/],
  ]
  for (const [text, message] of cases) {
    t.throws(() => parseJson(text), { name: 'JsonError', message }, JSON.stringify(text))
  }
})

test('refuses duplicate keys, also equal ones and escaped ones', async (t) => {
  for (const text of ['{"a":1,"a":2}', '{"a":1,"a":1}', '{"a":1,"\\u0061":2}', '{"x":{"a":1,"b":0,"a":[]}}']) {
    t.throws(() => parseJson(text), { message: /duplicate key "a" at 1:/ }, text)
  }
})

test('__proto__ is a key like any other', async (t) => {
  const value = parseJson('{"__proto__": {"polluted": true}}') as object
  t.same(Object.keys(value), ['__proto__'])
  t.equal(Object.getPrototypeOf(value), Object.prototype)
  t.throws(() => parseJson('{"__proto__":1,"__proto__":2}'), { message: /duplicate key/ })
})

test('nesting is bounded, so hostile text cannot overflow the stack', async (t) => {
  t.throws(() => parseJson('['.repeat(100_000)), JsonError)
  t.throws(() => parseJson('{"a":'.repeat(100_000)), { message: /nested more than 100 deep/ })
  t.ok(parseJson('['.repeat(100) + ']'.repeat(100)))
})

test('random texts are either parsed as JSON.parse parses them or refused by both', async (t) => {
  let seed = 1
  const random = (n: number) => {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0
    return (seed >>> 8) % n
  }
  const pieces = ['{', '}', '[', ']', ',', ':', '"a"', '"b"', '1', '-2', '1.5', 'true', 'null', ' ', '"\\n"', '\\', '"']
  let both = 0
  for (let round = 0; round < 20_000; round++) {
    const text = Array.from({ length: 1 + random(9) }, () => pieces[random(pieces.length)]).join('')
    let expected: unknown
    let refused = false
    try {
      expected = JSON.parse(text)
    } catch {
      refused = true
    }
    try {
      const found = parseJson(text)
      if (refused) t.fail(`accepted ${text}`)
      else if (JSON.stringify(found) !== JSON.stringify(expected)) t.fail(`differs: ${text}`)
      else both++
    } catch (error) {
      if (!refused && !/duplicate key/.test(String(error))) t.fail(`refused ${text}: ${error}`)
    }
  }
  t.ok(both > 500, `${both} texts were parsed by both`)
})

// JSON.parse does most of the work, where its result is certain to be the right one. Here it is compared with the strict parser, which a
// blank before a colon brings in.
test('documents are the same in whichever way they are parsed', async (t) => {
  const strict = (text: string) => parseJson(`{"strict" : ${text}}`) as { strict: unknown }
  const texts = [
    '{"a":1,"b":{"c":[1,2,{"d":null}]}}',
    '{"a":"\\":","b":"x\\":1"}',
    '{"":"","\\u0000":{"":[]}}',
    '{"10":1,"2":2,"a":3,"1":4}',
    '{"a\\"":{"__proto__":{"b":1},"constructor":2}}',
    '[{"a":9007199254740993},{"b":-9007199254740993},{"c":1.5e300},{"d":-0}]',
    `${'['.repeat(99)}${']'.repeat(99)}`,
  ]
  for (const text of texts) {
    const [plain, { strict: other }] = [parseJson(text), strict(text)]
    t.strictSame(plain, other, text)
    if (typeof plain === 'object' && plain !== null) t.strictSame(Object.keys(plain), Object.keys(other as object))
  }
})

test('a duplicate key is found wherever it hides', async (t) => {
  const hiding = [
    '{"a":1,"a":2}',
    '{"a":1,"\\u0061":2}',
    '{"a":1, "a"\n:2}',
    '{"__proto__":1,"__proto__":2}',
    '{"":1,"":2}',
  ]
  for (const text of hiding) {
    for (const around of [
      text,
      `[${text}]`,
      `{"x":${text}}`,
      `{"x":"\\":","y":${text}}`,
      `{"x":[[${text}]]}`,
      ` ${text} `,
    ]) {
      t.throws(() => parseJson(around), { message: /duplicate key/ }, around)
    }
  }
})
