import { test } from 'tap'
import type { LearnedEndpoint, LearnedPaths } from '../../src/generated/policy.ts'
import { decodePolicy, encodePolicy } from '../../src/policy/document.ts'
import { mergePolicies } from '../../src/policy/merge.ts'
import { ACCESSES, OUTCOMES } from '../../src/policy/paths.ts'
import { policy, run } from '../lib/policies.ts'
import { Random } from '../lib/random.ts'

const of = (paths: Partial<LearnedPaths>, id = 'r') =>
  policy([], { runs: [run(id)], paths: { files: [], endpoints: [], programs: [], ...paths } })

const some = <T>(random: Random, all: readonly T[]): T[] => {
  const chosen = all.filter(() => random.chance(0.3))
  return chosen.length === 0 ? [random.pick(all)] : chosen
}

/** Few names in many places, many in few: what two policies hold of a directory is often too much together only. */
function randomPath(random: Random, wide: boolean): string {
  const names = wide ? 400 : 6
  const depth = wide ? 1 + random.below(2) : random.below(6)
  return `/${Array.from({ length: depth }, () => `n${random.below(random.chance(0.5) ? names : 4)}`).join('/')}`
}

function randomEndpoint(random: Random, since: string): LearnedEndpoint {
  const kind = random.pick(['bind', 'connect', 'send'] as const)
  const outcomes = some(random, OUTCOMES)
  const covers = random.chance(0.05) ? { covers: random.pick(['names', 'all'] as const) } : {}
  switch (random.below(4)) {
    case 0:
      return { kind, family: 'unix', path: randomPath(random, true), ...covers, outcomes, since }
    case 1:
      return { kind, family: 'abstract', name: `n/${random.below(40)}`, outcomes, since }
    case 2:
      return { kind, family: String(16 + random.below(40)), outcomes, since }
    default:
      return {
        kind,
        family: 'inet',
        address: `10.0.${random.below(2)}.${random.below(90)}`,
        port: random.below(random.chance(0.5) ? 60 : 2),
        outcomes,
        since,
      }
  }
}

function randomPaths(random: Random, since: string): LearnedPaths {
  const size = () => (random.chance(0.7) ? 150 : 20)
  const wide = random.chance(0.5)
  return {
    files: Array.from({ length: size() }, () => ({
      path: randomPath(random, wide),
      ...(random.chance(0.002) ? { covers: random.pick(['names', 'all'] as const) } : {}),
      ...(random.chance(0.3) ? { failed: some(random, ACCESSES) } : { ok: some(random, ACCESSES) }),
      since,
    })),
    endpoints: Array.from({ length: size() }, () => randomEndpoint(random, since)),
    programs: Array.from({ length: random.below(30) }, () => ({ path: randomPath(random, true), since })),
  }
}

function randomPolicy(random: Random) {
  const number = random.below(12)
  const id = `run-${number}`
  const record = run(id, { started: `2026-11-${10 + (number % 7)}T00:00:00.000Z` })
  return policy([], { runs: [record], ...(random.chance(0.9) ? { paths: randomPaths(random, id) } : {}) })
}

test('property: the union is commutative, associative and idempotent, to the byte, also where it collapses', async (t) => {
  const random = new Random(3)
  let collapsed = 0
  for (let round = 0; round < 60; round++) {
    const [a, b, c] = [randomPolicy(random), randomPolicy(random), randomPolicy(random)]
    const both = mergePolicies(a, b)
    const text = encodePolicy(both)
    if (text !== encodePolicy(mergePolicies(b, a))) return t.fail('a + b = b + a', { round })
    if (encodePolicy(mergePolicies(both, c)) !== encodePolicy(mergePolicies(a, mergePolicies(b, c))))
      return t.fail('(a + b) + c = a + (b + c)', { round })
    if (encodePolicy(mergePolicies(both, b)) !== text) return t.fail('a + b + b = a + b', { round })
    if (encodePolicy(decodePolicy(text, 'test')) !== text) return t.fail('what is written can be read', { round })
    const covered = (one: typeof a) =>
      (one.paths?.files ?? [])
        .filter(({ covers }) => covers !== undefined)
        .map(({ path, covers }) => `${covers} ${path}`)
    const before = [...covered(a), ...covered(b)]
    if (covered(both).some((entry) => !before.includes(entry))) collapsed++
  }
  t.ok(collapsed > 5, `in ${collapsed} rounds the union was too large where its parts were not`)
})

test('many runs in any order give the same bytes', async (t) => {
  const random = new Random(9)
  const policies = Array.from({ length: 25 }, () => randomPolicy(random))
  const texts = new Set(
    Array.from({ length: 6 }, () =>
      encodePolicy(random.shuffled(policies).reduce((all, next) => mergePolicies(all, next))),
    ),
  )
  t.equal(texts.size, 1)
})

test('temporary names do not make a policy grow for ever', async (t) => {
  const random = new Random(1)
  let all = policy([])
  for (let number = 0; number < 300; number++) {
    const id = `run-${String(number).padStart(3, '0')}`
    const name = `/tmp/tmp${random.below(2 ** 31).toString(36)}`
    const files = [
      { path: name, ok: ['create' as const, 'remove' as const], since: id },
      { path: '/etc/hosts', ok: ['read' as const], since: id },
    ]
    all = mergePolicies(
      all,
      policy([], {
        runs: [run(id, { started: '2026-11-21T00:00:00.000Z' })],
        paths: { files, endpoints: [], programs: [] },
      }),
    )
  }
  t.same(all.paths?.files, [
    { path: '/etc/hosts', ok: ['read'], since: 'run-000' },
    { path: '/tmp', covers: 'names', ok: ['create', 'remove'], since: 'run-000' },
  ])
})

test('the first run that had a fact stays with it', async (t) => {
  const early = policy([], {
    runs: [run('z', { started: '2026-01-01T00:00:00.000Z' })],
    paths: { files: [{ path: '/a', ok: ['read'], since: 'z' }], endpoints: [], programs: [] },
  })
  const late = of({ files: [{ path: '/a', failed: ['write'], since: 'a' }] }, 'a')
  t.same(mergePolicies(late, early).paths?.files, [{ path: '/a', ok: ['read'], failed: ['write'], since: 'z' }])
})

test('every kind of endpoint is read as it was written', async (t) => {
  const endpoints: LearnedEndpoint[] = [
    { kind: 'bind', family: 'abstract', name: '', outcomes: ['ok'] },
    { kind: 'bind', family: 'abstract', name: 'a/b', outcomes: ['ok'] },
    { kind: 'bind', family: '16', outcomes: ['ok'] },
    { kind: 'connect', family: 'inet', address: '10.0.0.1', port: 80, outcomes: ['failed', 'started'] },
    { kind: 'connect', family: 'inet', address: '10.0.0.2', covers: 'names', outcomes: ['ok'] },
    { kind: 'connect', family: 'inet6', covers: 'all', outcomes: ['ok'] },
    { kind: 'connect', family: 'unix', path: '/', outcomes: ['failed'] },
    { kind: 'connect', family: 'unix', path: '/run/a', outcomes: ['ok'] },
    { kind: 'connect', family: 'unix', path: '/tmp', covers: 'all', outcomes: ['ok'] },
    { kind: 'send', family: 'abstract', covers: 'names', outcomes: ['ok'] },
    { kind: 'send', family: 'other', covers: 'names', outcomes: ['ok'] },
  ]
  t.same(decodePolicy(encodePolicy(of({ endpoints })), 'test').paths?.endpoints, endpoints)
})

test('keys that do not go together are refused, all at once', async (t) => {
  const text = encodePolicy(
    of({
      files: [{ path: '/a', ok: ['read'] }],
      endpoints: [{ kind: 'bind', family: 'inet', address: '::', port: 1, outcomes: ['ok'] }],
    }),
  )
  const broken = [
    text.replace('"ok": ["read"]', '"since": "r"'),
    text.replace(', "port": 1', ''),
    text.replace('"family": "inet"', '"family": "unix"'),
    text.replace('"family": "inet"', '"family": "abstract"'),
    text.replace('"family": "inet"', '"family": "16"'),
    text.replace('"port": 1', '"port": 1, "covers": "names"'),
    text.replace('"path": "/a"', '"path": "a"'),
  ]
  for (const [index, one] of broken.entries()) {
    t.not(one, text, `${index} is another text`)
    t.throws(() => decodePolicy(one, 'test'), { code: 'POLICY_INVALID' }, one.slice(one.indexOf('"paths"')))
  }
})
