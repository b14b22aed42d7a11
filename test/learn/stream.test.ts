import { test } from 'tap'
import type { PolicyDocument } from '../../src/generated/policy.ts'
import { holdsKnown, knownCalls } from '../../src/learn/known.ts'
import { policyOfRun } from '../../src/learn/run.ts'
import { decodeStream } from '../../src/learn/stream.ts'

const lines = [
  '{"event":"hello","protocol":1,"version":"0.1.0","runId":"r","backend":"ptrace-syscall","kernel":"6.18","machine":"x86_64","pid":9,"tracerPid":8,"tracerStart":7,"bootId":"b","started":"2026-11-21T00:00:00.000Z"}',
  '{"event":"attached","threads":7}',
  '{"event":"exec","exe":"/bin/x"}',
  '{"event":"seen","arch":"x86_64","nr":0}',
  `{"event":"program","exe":"/bin/x","sha256":"${'a'.repeat(64)}"}`,
  '{"event":"seen","arch":"x86_64","nr":999}',
  '{"event":"seen","arch":"x86","nr":4}',
  '{"event":"count","arch":"x86_64","nr":0,"count":12}',
  '{"event":"count","arch":"x86_64","nr":999,"count":1}',
  '{"event":"count","arch":"x86","nr":4,"count":2}',
  '{"event":"finish","ended":"2026-11-21T00:00:01.000Z","exit":{"code":3},"complete":true,"reason":"exited","calls":15,"distinct":3,"tasks":2,"lost":{"tasks":0,"calls":0,"writes":0}}',
]
const whole = `${lines.join('\n')}\n`

const names: Record<string, string> = { 'x86_64 0': 'read', 'x86 4': 'write' }
const table = { nameOf: (arch: string, nr: number) => names[`${arch} ${nr}`], highest: () => 471 }
const learned = (text: string) => policyOfRun('p', 'r', decodeStream(text), { container: 'c' }, table)

test('a whole record becomes the policy of a complete run', async (t) => {
  const policy = learned(whole)
  t.equal(policy.complete, true)
  t.same(policy.architectures, {
    x86: {
      known: 471,
      syscalls: [
        { name: 'restart_syscall' },
        { name: 'rt_sigreturn' },
        { name: 'sigreturn' },
        { name: 'write', count: 2, since: 'r' },
      ],
    },
    x86_64: {
      known: 471,
      syscalls: [
        { name: 'getcpu' },
        { name: 'gettimeofday' },
        { name: 'read', count: 12, since: 'r' },
        { name: 'restart_syscall' },
        { name: 'rt_sigreturn' },
        { name: 'time' },
        { number: 999, count: 1, since: 'r' },
      ],
    },
  })
  t.same(policy.runs, [
    {
      id: 'r',
      container: 'c',
      program: { path: '/bin/x', digest: `sha256:${'a'.repeat(64)}` },
      kernel: '6.18',
      machine: 'x86_64',
      backend: 'ptrace-syscall',
      detail: 'names',
      started: '2026-11-21T00:00:00.000Z',
      ended: '2026-11-21T00:00:01.000Z',
      complete: true,
      reason: 'exited',
      exit: { code: 3 },
      calls: 15,
      distinct: 3,
      tasks: 2,
      lost: { tasks: 0, calls: 0, writes: 0 },
    },
  ])
})

test('a record that ends anywhere keeps what it has and is never complete', async (t) => {
  let kept = 0
  for (let length = 0; length < whole.length; length++) {
    const policy = learned(whole.slice(0, length))
    if (policy.complete) return t.fail(`complete after ${length} of ${whole.length} bytes`)
    kept = Math.max(kept, policy.architectures.x86_64?.syscalls.length ?? 0)
  }
  t.equal(kept, 7)
  t.match(learned(whole.slice(0, whole.indexOf('{"event":"count"'))).runs[0], {
    complete: false,
    reason: 'the tracer was ended before the program',
    calls: 3,
  })
})

test('a damaged record is never complete', async (t) => {
  for (const [index, line] of lines.entries()) {
    if (line.includes('attached') || line.includes('"exec"') || line.includes('program')) continue
    const damaged = lines.with(index, '\0'.repeat(line.length)).join('\n')
    t.equal(learned(`${damaged}\n`).complete, false, line.slice(0, 40))
  }
  const missing = lines.filter((line) => !line.includes('"nr":999')).join('\n')
  t.match(learned(`${missing}\n`).runs[0], { complete: false, reason: /says that it holds 3 calls, but it holds 2/ })
})

test('a tracer that says that it lost something is believed', async (t) => {
  const lost = whole
    .replace('"complete":true,"reason":"exited"', '"complete":false,"reason":"escaped"')
    .replace('"tasks":0', '"tasks":1')
  t.match(learned(lost).runs[0], { complete: false, reason: 'escaped', lost: { tasks: 1 } })
})

test('x32 calls get their bit, numbers that no kernel can have are left out', async (t) => {
  const seen = ['x32","nr":3', 'x86_64","nr":-1', 'x86_64","nr":99999', 'x86_64","nr":4294967295'].map(
    (call) => `{"event":"seen","arch":"${call}}\n`,
  )
  const { architectures } = learned(seen.join(''))
  t.same(
    architectures.x32?.syscalls.filter(({ number }) => number !== undefined),
    [{ number: 0x40000003, count: 1, since: 'r' }],
  )
  t.same(
    architectures.x86_64?.syscalls.filter(({ number }) => number !== undefined),
    [{ number: 99999, count: 1, since: 'r' }],
  )
})

test('arguments: every combination that was seen; too many are any', async (t) => {
  const header = (lines[0] as string).replace('"kernel"', '"detail":"args","kernel"')
  const combination = (...values: number[]) =>
    JSON.stringify({ event: 'arguments', arch: 'x86_64', nr: 41, arguments: [0, 1, 2], values })
  const ioctl = '{"event":"arguments","arch":"x86_64","nr":16,"arguments":[1],"values":[21505]}'
  const text = [
    header,
    combination(2, 1, 0),
    '{"event":"seen","arch":"x86_64","nr":41}',
    combination(1, 1, 0),
    combination(2, 1, 0),
    ioctl,
    '{"event":"seen","arch":"x86_64","nr":16}',
    '{"event":"arguments-full","arch":"x86_64","nr":16}',
    ioctl,
    '',
  ].join('\n')
  const table = { nameOf: (_: string, nr: number) => ({ 16: 'ioctl', 41: 'socket' })[nr], highest: () => 471 }
  const policy = policyOfRun('p', 'r', decodeStream(text), {}, table)
  const [first, ...others] = (policy.architectures.x86_64?.syscalls ?? []).filter(
    ({ name = '' }) => !['getcpu', 'gettimeofday', 'time'].includes(name),
  )
  t.same(first, { name: 'ioctl', count: 1, since: 'r' })
  t.match(others, [
    { name: 'restart_syscall' },
    { name: 'rt_sigreturn' },
    {
      name: 'socket',
      learned: {
        arguments: [0, 1, 2],
        values: [
          [1, 1, 0],
          [2, 1, 0],
        ],
      },
    },
  ])
  t.equal(policy.runs[0]?.detail, 'args')
})

test('a run that did not watch all calls says so, and claims none of them', async (t) => {
  const finish = (lines.at(-1) as string).replace(
    '"lost"',
    '"backend":"ptrace-known","counts":"at-least","otherFilters":true,"lost"',
  )
  const known = ['{"event":"known","arch":"x86_64","numbers":[1,2]}', '{"event":"known","arch":"x86","numbers":[3]}']
  const text = [...lines.slice(0, 3), ...known, ...lines.slice(3, -1), finish].join('\n')
  const policy = learned(`${text}\n`)
  t.match(policy.runs, [
    {
      backend: 'ptrace-known',
      counts: 'at-least',
      unwatched: 3,
      otherFilters: true,
      complete: true,
      calls: 15,
      distinct: 3,
    },
  ])
  t.same(policy.architectures, learned(whole).architectures)
  for (const field of ['counts', 'unwatched', 'otherFilters']) t.notOk(field in (learned(whole).runs[0] ?? {}), field)
  for (const bad of ['"numbers":[1,"2"]', '"numbers":1', '"numbers":[0.5]', '"x":0']) {
    const line = `{"event":"known","arch":"x86_64",${bad}}`
    t.match(learned(`${[...lines.slice(0, 3), line, ...lines.slice(3)].join('\n')}\n`).runs, [
      { complete: false, reason: 'line 4 of the record is damaged' },
    ])
  }
})

test('a policy holds what a run did not watch only if it allows it with any arguments', async (t) => {
  const policy = learned(whole)
  t.same(
    knownCalls(policy, table).flatMap(({ numbers }) => numbers),
    [],
    'one run is not enough',
  )
  for (const { syscalls } of Object.values(policy.architectures))
    for (const call of syscalls) if (call.since !== undefined) call.again = 'r2'
  const holds = (numbers: number[], of: PolicyDocument | undefined = policy) =>
    holdsKnown(of, [{ arch: 'x86_64', numbers }], table)
  t.same(
    knownCalls(policy, table).filter(({ numbers }) => numbers.length > 0),
    [
      { arch: 'x86', numbers: [4] },
      { arch: 'x86_64', numbers: [0, 999] },
    ],
  )
  t.equal(holds([0, 999]), true)
  t.equal(holds([]), true)
  t.equal(holds([0, 1]), false)
  t.equal(holdsKnown(policy, [{ arch: 'x32', numbers: [0] }], table), false)
  t.equal(holdsKnown(undefined, [{ arch: 'x86_64', numbers: [0] }], table), false)
  const restricted = learned(whole)
  for (const call of restricted.architectures.x86_64?.syscalls ?? []) call.again = 'r2'
  for (const call of restricted.architectures.x86_64?.syscalls ?? []) call.rules = [[{ index: 0, op: '==', value: 1 }]]
  t.equal(holds([0], restricted), false)
  t.same(knownCalls(restricted, table)[1], { arch: 'x86_64', numbers: [] })
})
