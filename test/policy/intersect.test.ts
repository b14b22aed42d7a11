import { test } from 'tap'
import { evaluate, resolvePolicy } from '../../src/filter/evaluate.ts'
import type { Comparison, PolicyDocument } from '../../src/generated/policy.ts'
import { encodePolicy } from '../../src/policy/document.ts'
import { intersectPolicies } from '../../src/policy/intersect.ts'
import { applyOverlay, decodeOverlay, minimised } from '../../src/policy/overlay.ts'
import { randomRange } from '../lib/comparisons.ts'
import { NAMES } from '../lib/imports.ts'
import { policy, run } from '../lib/policies.ts'
import { Random } from '../lib/random.ts'

const OPERATORS: readonly Comparison['op'][] = ['==', '!=', '<', '<=', '>', '>=', 'masked==', 'range']

function randomRule(random: Random): Comparison[] {
  return [0, 1]
    .filter(() => random.chance(0.6))
    .map((index) => {
      const op = random.pick(OPERATORS)
      const value = random.below(8)
      const mask = 1 + random.below(7)
      if (op === 'range') return randomRange(random, index, 64, () => BigInt(random.below(9)))
      return op === 'masked==' ? { index, op, value: value & mask, mask } : { index, op, value }
    })
}

function randomPolicy(random: Random): PolicyDocument {
  const rules = Array.from({ length: random.below(4) }, () => randomRule(random)).filter((rule) => rule.length > 0)
  return policy([{ name: 'socket', ...(rules.length === 0 ? {} : { rules }) }])
}

test('property: the intersection allows what both allow, or less where it says so', async (t) => {
  const random = new Random(9)
  const number = NAMES.numberOf('x86_64', 'socket') as number
  const allows = (one: PolicyDocument, args: bigint[]) => {
    const [resolved] = resolvePolicy(one, NAMES.numberOf, [])
    return resolved !== undefined && evaluate(resolved, number, args) === 'allow'
  }
  let narrower = 0
  for (let round = 0; round < 600; round++) {
    const [a, b] = [randomPolicy(random), randomPolicy(random)]
    const notes: string[] = []
    const both = intersectPolicies(a, b, notes)
    for (let first = 0n; first < 9n; first++) {
      for (let second = 0n; second < 9n; second++) {
        const args = [first, second]
        const expected = allows(a, args) && allows(b, args)
        const found = allows(both, args)
        if (found && !expected) return t.fail('wider', { a, b, args: args.map(String) })
        if (expected && !found) {
          if (!notes.some((note) => note.includes('a rule that cannot be said')))
            return t.fail('narrower', { a, b, args: args.map(String) })
          narrower++
        }
      }
    }
  }
  t.ok(narrower < 5000, `${narrower} of 48600 were left out`)
})

test('marks, learned arguments and architectures', async (t) => {
  const seen = policy(
    [
      { name: 'socket', count: 3, since: 'a', learned: { arguments: [0], values: [[1], [2]] } },
      { name: 'read', since: 'a' },
      { name: 'write', since: 'a' },
    ],
    { runs: [run('a')], complete: true, widening: 'strict' },
  )
  const notes: string[] = []
  const result = intersectPolicies(
    seen,
    policy(['read', { name: 'socket', rules: [[{ index: 0, op: '==', value: 1 }]] }]),
    notes,
  )
  t.match(result.architectures.x86_64?.syscalls[0], { name: 'read', since: 'a' })
  t.match(result.architectures.x86_64?.syscalls[1], { name: 'socket', count: 3, since: 'a' })
  t.equal(result.architectures.x86_64?.syscalls[1]?.learned, undefined)
  t.same(notes, ['write (x86_64): not allowed by the other one'])
  t.equal(result.runs.length, 1)
  const x86 = policy([], { architectures: { x86: { known: 400, syscalls: [{ name: 'read' }] } } })
  t.same(intersectPolicies(x86, policy(['read']), notes).architectures, {})
  t.equal(encodePolicy(intersectPolicies(x86, x86, [])), encodePolicy(x86))
})

const refuse = (problem: string): never => {
  throw new Error(problem)
}

test('nothing that one of the two refuses: rules that never hold, and the high halves of x32', async (t) => {
  const both = (name: 'x86_64' | 'x32', a: Comparison, b: Comparison) => {
    const of = (rule: Comparison) =>
      policy([], { architectures: { [name]: { known: 471, syscalls: [{ name: 'ioctl', rules: [[rule]] }] } } })
    return intersectPolicies(of(a), of(b), []).architectures[name]?.syscalls
  }
  const masked = (mask: number): Comparison => ({ index: 1, op: 'masked==', value: 16, mask })
  t.same(both('x86_64', masked(15), masked(240)), [])
  const low: Comparison = { index: 1, op: 'range', value: 3, to: 0xffff_ffff }
  t.same(both('x32', low, { index: 1, op: '>=', value: 5 }), [{ name: 'ioctl', rules: [[{ ...low, value: 5 }]] }])
})

test('an overlay: intersection, then deny, then allow with a reason', async (t) => {
  const overlay = decodeOverlay(
    '{"intersect":"p.json","deny":["write"],"allow":[{"name":"mount","reason":"it mounts its data"},{"name":"ioctl","reason":"x","rules":[[{"index":1,"op":"==","value":7}]]}]}',
    refuse,
  )
  t.same(overlay.intersect, ['p.json'])
  const unknown: string[] = []
  const learned = policy(['read', 'write', 'ptrace', { name: 'ioctl', rules: [[{ index: 1, op: '==', value: 5 }]] }])
  const { policy: result, notes } = applyOverlay(learned, overlay, [policy(['read', 'write', 'ioctl'])], NAMES, (one) =>
    unknown.push(one),
  )
  t.same(result.architectures.x86_64?.syscalls, [
    { name: 'ioctl', reasons: ['x'], rules: [[{ index: 1, op: '==', value: 5 }], [{ index: 1, op: '==', value: 7 }]] },
    { name: 'mount', reasons: ['it mounts its data'] },
    { name: 'read' },
  ])
  t.same(notes, [
    'ptrace (x86_64): not allowed by the other one',
    'write (x86_64): denied',
    'mount (x86_64): allowed: it mounts its data',
    'ioctl (x86_64): allowed: x',
  ])
  t.same(unknown, [])
  // Learned when the call had no name yet.
  const numbered = policy(['read', { number: 101 }, { number: 999 }])
  const denied = applyOverlay(numbered, { intersect: [], deny: ['ptrace'], allow: [] }, [], NAMES, (one) =>
    unknown.push(one),
  )
  t.same(denied.policy.architectures.x86_64?.syscalls, [{ name: 'read' }, { number: 999 }])
  t.same(denied.notes, ['ptrace (x86_64): denied'])
  applyOverlay(learned, { intersect: [], deny: ['frobnicate'], allow: [] }, [], NAMES, (one) => unknown.push(one))
  t.same(unknown, ['frobnicate is no call of x86_64'])
})

test('what is no overlay is refused, saying where', async (t) => {
  const cases: [text: string, message: RegExp][] = [
    ['[]', /expected a JSON object/],
    ['{"denied":[]}', /unknown key "denied"/],
    ['{"deny":"read"}', /\/deny: expected a list of strings/],
    ['{"intersect":[1]}', /\/intersect: expected a list/],
    ['{"allow":{}}', /\/allow: expected a list/],
    ['{"allow":["read"]}', /\/allow\/0: expected an object/],
    ['{"allow":[{"name":"read"}]}', /\/allow\/0\/reason: expected why read is allowed/],
    ['{"allow":[{"name":"read","reason":" "}]}', /\/allow\/0\/reason/],
    ['{"allow":[{"name":"a b","reason":"x"}]}', /\/allow\/0\/name/],
    ['{"allow":[{"name":"read","reason":"x","arguments":1}]}', /unknown key "arguments"/],
    ['{"allow":[{"name":"read","reason":"x","rules":1}]}', /\/rules/],
    ['{"deny":["read"],"allow":[{"name":"read","reason":"x"}]}', /read is also in \/deny/],
  ]
  for (const [text, message] of cases) t.throws(() => decodeOverlay(text, refuse), { message }, text)
})

test('minimize keeps what runs made, what the kernel makes and what has a reason', async (t) => {
  const { policy: result, removed } = minimised(
    policy([
      { name: 'read', since: 'a' },
      { name: 'open', via: 'openat' },
      'mount',
      'restart_syscall',
      { name: 'ptrace', reasons: ['a debugger'] },
      { number: 600 },
    ]),
    () => ['restart_syscall'],
  )
  t.same(
    result.architectures.x86_64?.syscalls.map(({ name }) => name),
    ['ptrace', 'read', 'restart_syscall'],
  )
  t.same(removed, ['mount (x86_64)', 'open (x86_64)', '#600 (x86_64)'])
})
