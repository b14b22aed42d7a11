import { test } from 'tap'
import type { AllowedSyscall, LearnedArguments, PolicyDocument } from '../../src/generated/policy.ts'
import { encodePolicy } from '../../src/policy/document.ts'
import { canonicalLearned } from '../../src/policy/learned.ts'
import { mergePolicies } from '../../src/policy/merge.ts'
import { WIDENINGS } from '../../src/policy/widen.ts'
import { policy, run } from '../lib/policies.ts'
import { Random } from '../lib/random.ts'

const NAMES = ['read', 'write', 'openat', 'socket', 'ioctl', 'clone3', 'execve', 'mmap']

function randomSyscall(random: Random, id: string): AllowedSyscall {
  const rules = random.chance(0.3)
    ? [
        [{ index: random.below(3), op: '==' as const, value: random.below(4) }],
        [{ index: 0, op: '!=' as const, value: 7 }],
      ]
    : undefined
  return {
    ...(random.chance(0.1) ? { number: 900 + random.below(3) } : { name: random.pick(NAMES) }),
    ...(random.chance(0.8) ? { count: random.below(1000) } : {}),
    ...(random.chance(0.9) ? { since: id } : {}),
    ...(random.chance(0.2) ? { via: random.pick(['open', 'stat']) } : {}),
    ...(random.chance(0.1) ? { reason: random.pick(['a', 'b']) } : {}),
    ...(rules === undefined ? {} : { rules }),
    ...(random.chance(0.4) ? { learned: randomLearned(random) } : {}),
  }
}

function randomLearned(random: Random): LearnedArguments {
  const indexes = [0, 1, 2].filter(() => random.chance(0.7))
  if (indexes.length === 0) indexes.push(1)
  // Now and then so many that two together are too many.
  const count = random.chance(0.005) ? 3000 : 1 + random.below(4)
  const values = Array.from({ length: count }, () => indexes.map(() => random.below(count > 4 ? 2 ** 31 : 4)))
  return canonicalLearned({ arguments: indexes, values })
}

function randomPolicy(random: Random): PolicyDocument {
  // The same id always has the same start: one run has one record, of which a copy may have seen less.
  const number = random.below(12)
  const id = `run-${number}`
  const record = run(id, {
    started: `2026-11-${10 + (number % 7)}T00:00:00.000Z`,
    complete: random.chance(0.6),
    calls: random.below(5),
    distinct: random.below(3),
  })
  const syscalls = new Map<string, AllowedSyscall>()
  for (let index = random.below(6); index >= 0; index--) {
    const syscall = randomSyscall(random, id)
    syscalls.set(syscall.name ?? String(syscall.number), syscall)
  }
  const known = 400 + random.below(80)
  const architectures = {
    ...(random.chance(0.9) ? { x86_64: { known, syscalls: [...syscalls.values()] } } : {}),
    ...(random.chance(0.2) ? { x86: { known, syscalls: [{ name: 'read' }] } } : {}),
  }
  const imports = random.chance(0.3)
    ? [{ format: 'oci', digest: `sha256:${String(random.below(3)).repeat(64)}`, date: record.started }]
    : []
  const widening = random.chance(0.3) ? { widening: random.pick(WIDENINGS) } : {}
  return policy([], { architectures, runs: [record], imports, ...widening })
}

test('a merge allows what either allows', async (t) => {
  const merged = mergePolicies(policy(['read', 'write']), policy(['write', 'close']))
  t.same(
    merged.architectures.x86_64?.syscalls.map(({ name }) => name),
    ['close', 'read', 'write'],
  )
})

test('arguments: rules are united, and no rules hold all of them', async (t) => {
  const one = { name: 'socket', rules: [[{ index: 0, op: '==' as const, value: 1 }]] }
  const two = { name: 'socket', rules: [[{ index: 0, op: '==' as const, value: 2 }]] }
  const united = mergePolicies(policy([one]), policy([two])).architectures.x86_64?.syscalls[0]
  t.same(united?.rules, [...one.rules, ...two.rules])
  t.same(mergePolicies(policy([one]), policy(['socket'])).architectures.x86_64?.syscalls[0], { name: 'socket' })
})

test('what one of the two did not know stays unknown: the smaller "known"', async (t) => {
  const old = policy(['read'], { architectures: { x86_64: { known: 400, syscalls: [{ name: 'read' }] } } })
  t.equal(mergePolicies(old, policy(['read'])).architectures.x86_64?.known, 400)
})

test('a partial run adds calls and never makes a policy complete', async (t) => {
  const partial = policy(['read'], { runs: [run('p', { complete: false })] })
  const complete = policy(['write'], { runs: [run('c')] })
  t.equal(mergePolicies(partial, partial).complete, false)
  t.equal(mergePolicies(partial, complete).complete, true)
  t.equal(mergePolicies(partial, complete).architectures.x86_64?.syscalls.length, 2)
})

test('"since" is the oldest run that made the call, "count" the most calls of one run', async (t) => {
  const early = policy([{ name: 'read', count: 5, since: 'e' }], {
    runs: [run('e', { started: '2026-01-01T00:00:00.000Z' })],
  })
  const late = policy([{ name: 'read', count: 9, since: 'a' }], { runs: [run('a')] })
  t.same(mergePolicies(late, early).architectures.x86_64?.syscalls, [
    { name: 'read', count: 9, since: 'e', again: 'a' },
  ])
})

test('"again" is the second run that made a call: which calls only one run made is known in any order', async (t) => {
  const day = (day: number) => ({ started: `2026-01-0${day}T00:00:00.000Z` })
  const runs = [1, 2, 3].map((number) =>
    policy([{ name: 'read', since: `r${number}` }, ...(number === 2 ? [{ name: 'write', since: 'r2' }] : [])], {
      runs: [run(`r${number}`, day(number))],
    }),
  )
  for (const order of [
    [0, 1, 2],
    [2, 1, 0],
    [1, 2, 0],
    [2, 2, 0, 1, 0],
  ]) {
    const merged = order.map((index) => runs[index] as PolicyDocument).reduce(mergePolicies)
    t.same(merged.architectures.x86_64?.syscalls, [
      { name: 'read', since: 'r1', again: 'r2' },
      { name: 'write', since: 'r2' },
    ])
  }
})

test('a call that was learned needs no other one to stand beside', async (t) => {
  const beside = policy([{ name: 'open', via: 'openat' }])
  t.same(mergePolicies(beside, policy(['open'])).architectures.x86_64?.syscalls, [{ name: 'open' }])
  t.same(mergePolicies(beside, policy([{ name: 'open', via: 'creat' }])).architectures.x86_64?.syscalls, [
    { name: 'open', via: 'creat' },
  ])
})

test('imports: each once, with its first date', async (t) => {
  const one = (date: string) => policy([], { imports: [{ format: 'oci', digest: `sha256:${'a'.repeat(64)}`, date }] })
  const [early, late] = [one('2026-01-01T00:00:00.000Z'), one('2026-01-02T00:00:00.000Z')]
  t.same(mergePolicies(late, early).imports, early.imports)
  t.same(mergePolicies(early, late).imports, early.imports)
})

test('property: commutative, associative and idempotent, to the byte', async (t) => {
  const random = new Random(7)
  let distinct = 0
  for (let round = 0; round < 2000; round++) {
    const [a, b, c] = [randomPolicy(random), randomPolicy(random), randomPolicy(random)]
    const text = encodePolicy(mergePolicies(a, b))
    if (text !== encodePolicy(mergePolicies(b, a))) return t.fail('a + b = b + a', { round, a, b })
    if (encodePolicy(mergePolicies(mergePolicies(a, b), c)) !== encodePolicy(mergePolicies(a, mergePolicies(b, c)))) {
      return t.fail('(a + b) + c = a + (b + c)', { round, a, b, c })
    }
    if (encodePolicy(mergePolicies(mergePolicies(a, b), b)) !== text)
      return t.fail('a + b + b = a + b', { round, a, b })
    if (text !== encodePolicy(a)) distinct++
  }
  t.ok(distinct > 1000, `${distinct} of the 2000 merges changed something`)
})

test('1,000 runs merged in any order, and in any groups, give the same bytes', async (t) => {
  const random = new Random(11)
  const runs = Array.from({ length: 1000 }, () => randomPolicy(random))
  const merged = (policies: readonly PolicyDocument[]) => policies.reduce((all, next) => mergePolicies(all, next))
  const inGroups = (policies: readonly PolicyDocument[], size: number) =>
    merged(
      Array.from({ length: Math.ceil(policies.length / size) }, (_, group) =>
        merged(policies.slice(group * size, (group + 1) * size)),
      ),
    )
  const texts = new Set([
    encodePolicy(merged(runs)),
    ...[20, 50, 100].map((size) => encodePolicy(inGroups(random.shuffled(runs), size))),
  ])
  t.equal(texts.size, 1)
})
