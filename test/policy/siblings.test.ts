import { test } from 'tap'
import type { PolicyDocument } from '../../src/generated/policy.ts'
import { type ArchitectureName, encodePolicy } from '../../src/policy/document.ts'
import { mergePolicies } from '../../src/policy/merge.ts'
import { siblingsOf, siblingTable, withoutSiblings, withSiblings } from '../../src/policy/siblings.ts'
import { NAMES } from '../lib/imports.ts'
import { policy, run } from '../lib/policies.ts'
import { Random } from '../lib/random.ts'

const add = (learned: PolicyDocument) => withSiblings(learned, NAMES)
const entries = (document: PolicyDocument, architecture: ArchitectureName = 'x86_64') =>
  document.architectures[architecture]?.syscalls ?? []

test('every name of the table is a call, and none is its own sibling', async (t) => {
  for (const [name, siblings] of siblingTable()) {
    for (const call of [name, ...siblings]) t.ok(NAMES.exists(call), call)
    t.notOk(siblings.includes(name), name)
    t.equal(new Set(siblings).size, siblings.length, name)
  }
})

test('calls that start processes, or that are many calls in one, are nobody’s sibling', async (t) => {
  const offered = new Set(siblingTable().flatMap(([, siblings]) => siblings))
  for (const name of ['clone', 'clone3', 'execve', 'execveat', 'socketcall', 'ipc', 'io_uring_enter', 'syscall'])
    t.notOk(offered.has(name), name)
  for (const name of ['clone', 'clone3', 'execve', 'execveat']) t.same(siblingsOf(name), [], name)
  t.notOk(siblingsOf('fstat').includes('newfstatat'), 'a descriptor is less than every path')
  t.ok(siblingsOf('newfstatat').includes('fstat'))
})

test('siblings are marked with the call that they stand beside, and are no part of what was learned', async (t) => {
  const learned = policy([{ name: 'openat', count: 3, since: 'a' }, 'write'], { runs: [run('a')], complete: true })
  t.same(entries(add(learned)), [
    { name: 'open', via: 'openat' },
    { name: 'openat', count: 3, since: 'a' },
    { name: 'openat2', via: 'openat' },
    { name: 'write' },
  ])
  t.equal(encodePolicy(withoutSiblings(add(learned))), encodePolicy(learned))
  t.equal(encodePolicy(add(add(learned))), encodePolicy(add(learned)))
})

test('a sibling with more power than the learned call gets it with certain arguments only', async (t) => {
  const int = 0xffff_ffff
  t.same(
    entries(add(policy(['unlink', 'getrlimit', 'pipe', 'rename']))).filter(({ rules }) => rules !== undefined),
    [
      { name: 'pipe2', via: 'pipe', rules: [[{ index: 1, op: 'masked==', value: 0, mask: int - 0o2004000 }]] },
      {
        name: 'prlimit64',
        via: 'getrlimit',
        rules: [
          [
            { index: 0, op: 'masked==', value: 0, mask: int },
            { index: 2, op: '==', value: 0 },
          ],
        ],
      },
      { name: 'renameat2', via: 'rename', rules: [[{ index: 4, op: 'masked==', value: 0, mask: int - 1 }]] },
      { name: 'unlinkat', via: 'unlink', rules: [[{ index: 2, op: 'masked==', value: 0, mask: int }]] },
    ],
  )
  const both = entries(add(policy(['unlink', 'rmdir']))).find(({ name }) => name === 'unlinkat')
  t.match(both, { via: 'rmdir', rules: [[{ value: 0 }], [{ value: 512 }]] })
})

test('a call that was learned with certain arguments gets no siblings', async (t) => {
  const ruled = policy([{ name: 'openat', rules: [[{ index: 2, op: '==', value: 0 }]] }])
  t.equal(encodePolicy(add(ruled)), encodePolicy(ruled))
  const seen = policy([{ name: 'openat', learned: { arguments: [2], values: [[0]] } }])
  t.equal(encodePolicy(add(seen)), encodePolicy(seen))
})

test('each ABI has its own: 64-bit times on 32-bit x86, and nothing that an ABI does not have', async (t) => {
  const x86 = policy([], {
    architectures: { x86: { known: 471, syscalls: [{ name: 'clock_gettime' }, { name: 'futex' }] } },
  })
  t.same(
    entries(add(x86), 'x86').filter(({ via }) => via !== undefined),
    [
      { name: 'clock_gettime64', via: 'clock_gettime' },
      { name: 'futex_requeue', via: 'futex' },
      { name: 'futex_time64', via: 'futex' },
      { name: 'futex_wait', via: 'futex' },
      { name: 'futex_waitv', via: 'futex' },
      { name: 'futex_wake', via: 'futex' },
      { name: 'gettimeofday', via: 'clock_gettime' },
      { name: 'time', via: 'clock_gettime' },
    ],
  )
  const arm = policy([], { architectures: { aarch64: { known: 471, syscalls: [{ name: 'openat' }] } } })
  t.same(
    entries(add(arm), 'aarch64').map(({ name }) => name),
    ['openat', 'openat2'],
    'no open on aarch64',
  )
})

test('property: merging policies with siblings is the same as adding them to the merged policy', async (t) => {
  const random = new Random(4)
  const table = siblingTable().map(([name]) => name)
  const rules = [[{ index: 0, op: '==' as const, value: 1 }]]
  const one = () => {
    const names = new Set(Array.from({ length: 1 + random.below(8) }, () => random.pick(table)))
    const calls = [...names].map((name) => ({
      name,
      ...(random.chance(0.2) ? { rules } : {}),
      ...(random.chance(0.1) ? { learned: { arguments: [1], values: [[random.below(3)]] } } : {}),
    }))
    const has = (name: ArchitectureName) => calls.filter((call) => NAMES.numberOf(name, call.name) !== undefined)
    const architectures = { x86_64: { known: 471, syscalls: has('x86_64') }, x86: { known: 471, syscalls: has('x86') } }
    return policy([], { architectures })
  }
  for (let round = 0; round < 1000; round++) {
    const [a, b] = [one(), one()]
    const separate = encodePolicy(mergePolicies(add(a), add(b)))
    if (separate !== encodePolicy(add(mergePolicies(a, b)))) return t.fail('differ', { a, b })
    if (separate !== encodePolicy(mergePolicies(add(b), add(a)))) return t.fail('the order matters', { a, b })
  }
  t.pass('1000 pairs')
})
