import { test } from 'tap'
import { decodePolicy, encodePolicy } from '../../src/policy/document.ts'
import { policy, run } from '../lib/policies.ts'

const valid = policy(
  ['write', 'read', { number: 999, count: 2 }, { name: 'socket', rules: [[{ index: 0, op: '==', value: 1 }]] }],
  {
    runs: [run('b', { started: '2026-11-22T00:00:00.000Z' }), run('a')],
    complete: true,
  },
)

/** The valid document as text, changed. */
// biome-ignore lint/suspicious/noExplicitAny: what is made here is no policy, on purpose
function changed(change: (document: any) => unknown): string {
  const document = JSON.parse(encodePolicy(valid))
  return JSON.stringify(change(document) ?? document)
}

test('what is encoded is decoded to the same, and encoded to the same bytes', async (t) => {
  const text = encodePolicy(valid)
  t.same(decodePolicy(text, 'x'), valid)
  t.equal(encodePolicy(decodePolicy(text, 'x')), text)
})

test('the order of lists in a document does not matter', async (t) => {
  const shuffled = changed((document) => {
    document.runs.reverse()
    document.architectures.x86_64.syscalls.reverse()
  })
  t.equal(encodePolicy(decodePolicy(shuffled, 'x')), encodePolicy(valid))
})

test('the text is sorted, a line for each syscall', async (t) => {
  const lines = encodePolicy(valid).split('\n')
  const names = lines.filter((line) => /"(name|number)": .*(\}|\],?)/.test(line) && line.startsWith('        {'))
  t.same(
    names.map((line) => line.trim().replace(/,$/, '')),
    [
      '{ "name": "read" }',
      '{ "name": "socket", "rules": [[{ "index": 0, "op": "==", "value": 1 }]] }',
      '{ "name": "write" }',
      '{ "number": 999, "count": 2 }',
    ],
  )
})

const syscall = (entry: object) => changed((d) => void d.architectures.x86_64.syscalls.push(entry))
const rule = (...comparisons: object[]) => syscall({ name: 'ioctl', rules: [comparisons] })

test('a document that is not exactly a policy is refused, saying what and where', async (t) => {
  const cases: [what: string, text: string, message: RegExp][] = [
    ['empty', '', /expected a value, found the end of the text at 1:1/],
    ['truncated', encodePolicy(valid).slice(0, 200), /at \d+:\d+/],
    ['no object', '[]', /expected a JSON object/],
    [
      'unknown version',
      changed((d) => void Object.assign(d, { version: 3 })),
      /version 3 is newer than this program, which knows 1 to 2; update oci-sandbox on this host/,
    ],
    [
      'a long version',
      encodePolicy(valid).replace('"version": 2', '"version": 18446744073709551615'),
      /version 18446744073709552000 is no version of a policy/,
    ],
    [
      'no version',
      changed((d) => void delete d.version),
      /version nothing is no version of a policy \(this program knows 1 to 2\)/,
    ],
    [
      'duplicate keys',
      encodePolicy(valid).replace('"complete"', '"name": "test", "complete"'),
      /duplicate key "name" at/,
    ],
    ['unknown key', changed((d) => void Object.assign(d, { extra: 1 })), /\/: unknown key "extra"/],
    ['missing key', changed((d) => void delete d.runs), /must have required property 'runs'/],
    [
      'wrong type',
      changed((d) => void Object.assign(d, { complete: 'yes' })),
      /\/complete: must be boolean, found "yes"/,
    ],
    [
      'path in the name',
      changed((d) => void Object.assign(d, { name: '../x' })),
      /\/name: must be a name \(a letter or digit/,
    ],
    [
      'unknown architecture',
      changed((d) => void Object.assign(d.architectures, { vax: {} })),
      /\/architectures: unknown key "vax"/,
    ],
    ['__proto__', encodePolicy(valid).replace('"complete"', '"__proto__": {}, "complete"'), /unknown key "__proto__"/],
    ['a call twice', syscall({ name: 'read' }), /"read" stands in the list twice/],
    ['name and number', syscall({ name: 'open', number: 2 }), /expected either a name or a number/],
    ['neither', syscall({ count: 2 }), /expected either a name or a number/],
    ['negative number', syscall({ number: -1 }), /number: must be >= 0, found -1/],
    ['no rules', syscall({ name: 'ioctl', rules: [] }), /must NOT have fewer than 1 items/],
    ['unknown operator', rule({ index: 0, op: '=', value: 1 }), /op: "=" is not one of ==, !=/],
    ['argument 6', rule({ index: 6, op: '==', value: 1 }), /index: must be <= 5, found 6/],
    ['negative value', rule({ index: 0, op: '==', value: -1 }), /value: -1 is not an integer from 0 to 2\^53 - 1/],
    [
      '2^64 as text',
      rule({ index: 0, op: '==', value: '18446744073709551616' }),
      /value: 18446744073709551616 does not fit 64 bits/,
    ],
    ['17 hexadecimal digits', rule({ index: 0, op: '==', value: '0x10000000000000000' }), /is not an integer/],
    [
      'mask without masked==',
      rule({ index: 0, op: '==', value: 1, mask: 1 }),
      /a mask goes with masked== and range only/,
    ],
    ['masked== without mask', rule({ index: 0, op: 'masked==', value: 1 }), /masked== needs a mask/],
    ['range without an end', rule({ index: 0, op: 'range', value: 1 }), /to goes with range, and only with it/],
    ['an end without range', rule({ index: 0, op: '<', value: 1, to: 2 }), /to goes with range, and only with it/],
    [
      'a range that ends before it begins',
      rule({ index: 0, op: 'range', value: 5, to: 4 }),
      /rules\/0\/0: the range ends at 4, before it begins at 5/,
    ],
    [
      'a range of bits with gaps',
      rule({ index: 0, op: 'range', value: 1, to: 4, mask: 6 }),
      /mask: a range needs one that has all bits up to its highest one, found 6/,
    ],
    [
      'a range beyond its mask',
      rule({ index: 0, op: 'range', value: 1, to: 256, mask: 255 }),
      /to: 256 has bits that the mask 255 leaves out/,
    ],
    ['no comments', changed((d) => void Object.assign(d, { comments: [] })), /comments: must NOT have fewer than 1/],
    ['a comment of two lines', syscall({ name: 'ioctl', comments: ['a\nb'] }), /comments\/0: must be one line of text/],
    ['a reason as in version 1', syscall({ name: 'ioctl', reason: 'x' }), /unknown key "reason"/],
    [
      'one argument twice',
      rule({ index: 0, op: '>', value: 1 }, { index: 0, op: '<', value: 9 }),
      /compares one argument twice/,
    ],
    [
      'complete without a complete run',
      changed((d) => void Object.assign(d, { runs: [] })),
      /\/complete: is true, but the runs say false/,
    ],
    ['two runs, one id', changed((d) => void Object.assign(d.runs[1], { id: 'a' })), /two runs have the same id/],
    [
      'a time of another form',
      changed((d) => void Object.assign(d.runs[0], { started: 'yesterday' })),
      /\/runs\/0\/started: must match pattern/,
    ],
  ]
  for (const [what, text, message] of cases) {
    t.throws(() => decodePolicy(text, '/p.json'), { code: 'POLICY_INVALID', message }, what)
    t.throws(
      () => decodePolicy(text, '/p.json'),
      { message: /^policy \/p\.json: [^\n]+$/ },
      `${what}: one line that names the file`,
    )
  }
})

test('integers that JSON readers would round are refused as such, and accepted as text', async (t) => {
  const text = rule({ index: 0, op: '==', value: 4711 })
  t.throws(() => decodePolicy(text.replace('4711', '18446744073709551615'), 'x'), {
    message: /nor a string with a 64-bit one/,
  })
  const decoded = decodePolicy(text.replace('4711', '"0xffffffffffffffff"'), 'x')
  const found = decoded.architectures.x86_64?.syscalls.find(({ name }) => name === 'ioctl')
  t.same(found?.rules, [[{ index: 0, op: '==', value: '18446744073709551615' }]])
})

test('values of a 32-bit architecture fit 32 bits', async (t) => {
  const text = changed((d) => {
    d.architectures.x86 = {
      known: 471,
      syscalls: [{ name: 'ioctl', rules: [[{ index: 0, op: '==', value: 2 ** 32 }]] }],
    }
  })
  t.throws(() => decodePolicy(text, 'x'), { message: /4294967296 does not fit 32 bits/ })
})

test('all bad places are named at once, many are counted', async (t) => {
  const two = changed((d) => void Object.assign(d, { complete: 1, name: 7 }))
  t.throws(() => decodePolicy(two, 'x'), { message: /\/name: .*\/complete: |\/complete: .*\/name: / })
  const many = changed((d) => {
    d.architectures.x86_64.syscalls = Array.from({ length: 30 }, () => ({ name: 5 }))
  })
  t.throws(() => decodePolicy(many, 'x'), { message: /and 22 more/ })
})
