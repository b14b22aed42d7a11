import { test } from 'tap'
import type { PolicyDocument } from '../../src/generated/policy.ts'
import { commentCall, commentPolicy } from '../../src/policy/comments.ts'
import { decodePolicy, encodePolicy } from '../../src/policy/document.ts'
import { intersectPolicies } from '../../src/policy/intersect.ts'
import { lintPolicy } from '../../src/policy/lint.ts'
import { mergePolicies } from '../../src/policy/merge.ts'
import { applyOverlay, minimised } from '../../src/policy/overlay.ts'
import { withSiblings } from '../../src/policy/siblings.ts'
import { NAMES } from '../lib/imports.ts'
import { policy, run } from '../lib/policies.ts'
import { Random } from '../lib/random.ts'

const missing = (comment: string): never => {
  throw new Error(`missing ${comment}`)
}

const add = (...lines: string[]) => ({ add: lines, remove: [] })
const remove = (...lines: string[]) => ({ add: [], remove: lines })

function commented(document: PolicyDocument, call: string, ...lines: string[]): PolicyDocument {
  const result = commentCall(document, { call, architecture: undefined }, add(...lines), missing)
  if (result === undefined) throw new Error(`no ${call}`)
  return result
}

const commentsOf = (document: PolicyDocument, call: string) =>
  document.architectures.x86_64?.syscalls.find(({ name }) => name === call)?.comments

test('comments are sorted, each once; the text is the same whatever the order', async (t) => {
  const one = commentPolicy(policy(['read']), add('b', 'a', 'b'), missing)
  t.same(one.comments, ['a', 'b'])
  const other = commentPolicy(commentPolicy(policy(['read']), add('a'), missing), add('b'), missing)
  t.equal(encodePolicy(one), encodePolicy(other))
  t.same(decodePolicy(encodePolicy(one), 'x'), one)
  const gone = commentPolicy(one, remove('a', 'b'), missing)
  t.equal(encodePolicy(gone), encodePolicy(policy(['read'])), 'none are no key')
  t.throws(() => commentPolicy(one, remove('c'), missing), { message: 'missing c' })
})

test('comments of a call, of each architecture or of one', async (t) => {
  const x86 = { known: 471, syscalls: [{ name: 'read' }, { number: 999 }] }
  const both = policy([], { architectures: { x86_64: { known: 471, syscalls: [{ name: 'read' }] }, x86 } })
  const everywhere = commented(both, 'read', 'says why')
  t.match(everywhere.architectures, { x86_64: { syscalls: [{ comments: ['says why'] }] }, x86: { syscalls: [{}, {}] } })
  const one = commentCall(both, { call: 'read', architecture: 'x86' }, add('32-bit'), missing)
  t.same(one?.architectures.x86_64, both.architectures.x86_64)
  t.same(one?.architectures.x86?.syscalls[0], { name: 'read', comments: ['32-bit'] })
  t.same(
    commentCall(both, { call: '#999', architecture: undefined }, add('?'), missing)?.architectures.x86?.syscalls[1],
    {
      number: 999,
      comments: ['?'],
    },
  )
  t.equal(commentCall(both, { call: 'write', architecture: undefined }, add('x'), missing), undefined)
  t.throws(() => commentCall(both, { call: 'read', architecture: undefined }, remove('x'), missing), {
    message: 'missing x',
  })
})

test('they stay through learning, siblings, intersection, overlays and minimizing', async (t) => {
  const learned = policy(
    ['read', 'open', 'ptrace'].map((name) => ({ name, since: 'a' })),
    {
      runs: [run('a')],
      complete: true,
    },
  )
  const wide = withSiblings(learned, NAMES)
  const own = commentPolicy(
    commented(commented(wide, 'read', 'on read'), 'openat', 'on a sibling'),
    add('on all'),
    missing,
  )
  const next = withSiblings(policy([{ name: 'open', since: 'b' }], { runs: [run('b')], complete: true }), NAMES)
  const checks: [what: string, document: PolicyDocument, sibling: boolean][] = [
    ['learning', mergePolicies(own, next), true],
    ['learning, the other way round', { ...mergePolicies(next, own), name: 'test' }, true],
    ['siblings', withSiblings(own, NAMES), true],
    ['intersection', intersectPolicies(own, policy(['read', 'openat']), []), true],
    ['an overlay', applyOverlay(own, { intersect: [], deny: ['ptrace'], allow: [] }, [], NAMES, missing).policy, true],
    ['minimizing', minimised(own, () => []).policy, false],
  ]
  for (const [what, document, sibling] of checks) {
    t.same(document.comments, ['on all'], what)
    t.same(commentsOf(document, 'read'), ['on read'], what)
    t.same(commentsOf(document, 'openat'), sibling ? ['on a sibling'] : undefined, what)
  }
})

test('property: comments and reasons merge as sets', async (t) => {
  const random = new Random(4)
  const lines = () => random.shuffled(['a', 'b', 'c', 'd']).slice(0, random.below(4))
  const some = () => {
    const [comments, own, reasons] = [lines(), lines(), lines()]
    const call = {
      name: 'read',
      ...(own.length > 0 ? { comments: own } : {}),
      ...(reasons.length > 0 ? { reasons } : {}),
    }
    return policy(random.chance(0.8) ? [call] : [], comments.length > 0 ? { comments } : {})
  }
  const text = (document: PolicyDocument) => encodePolicy(document)
  for (let round = 0; round < 300; round++) {
    const [a, b, c] = [some(), some(), some()]
    if (text(mergePolicies(a, b)) !== text(mergePolicies(b, a))) return t.fail('not commutative', { a, b })
    const left = mergePolicies(mergePolicies(a, b), c)
    if (text(left) !== text(mergePolicies(a, mergePolicies(b, c)))) return t.fail('not associative', { a, b, c })
    if (text(mergePolicies(a, a)) !== text(a)) return t.fail('not idempotent', { a })
    const all = new Set([a, b, c].flatMap((one) => commentsOf(one, 'read') ?? []))
    if ((commentsOf(left, 'read') ?? []).length !== all.size) return t.fail('a comment is lost', { a, b, c })
  }
  t.pass('300 times three policies')
})

test('lint says them with what is dangerous', async (t) => {
  const [finding] = lintPolicy(commented(policy(['ptrace']), 'ptrace', 'the debugger of ops'))
  t.match(finding, { call: 'ptrace (x86_64)', comments: ['the debugger of ops'] })
})
