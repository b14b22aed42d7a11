/** What is exported and imported again allows the same. */
import { test } from 'tap'
import { formatYaml } from '../../src/cli/yaml.ts'
import type { AllowedSyscall, Comparison, PolicyDocument } from '../../src/generated/policy.ts'
import { type ArchitectureName, architecturesOf, encodePolicy } from '../../src/policy/document.ts'
import { withLosses } from '../../src/policy/export/lossy.ts'
import { oneList } from '../../src/policy/export/one-list.ts'
import { resourceName, spoProfile } from '../../src/policy/export/spo.ts'
import { systemdDropIn } from '../../src/policy/export/systemd.ts'
import { exportOci } from '../../src/policy/export-oci.ts'
import { ofLowHalves } from '../../src/policy/rules.ts'
import { collect, NAMES } from '../lib/imports.ts'
import { policy } from '../lib/policies.ts'
import { Random } from '../lib/random.ts'

const OPERATORS: readonly Comparison['op'][] = ['==', '!=', '<', '<=', '>', '>=', 'masked==']
const ALL: Partial<Record<ArchitectureName, string[]>> = Object.fromEntries(
  (['x86_64', 'x86', 'x32', 'aarch64', 'arm'] as const).map((name) => [name, [...NAMES.all(name)]]),
)

/** As many rules as a profile says in the same words (plainRules): one comparison of any kind, or several of whether bits are equal. */
function randomRules(random: Random): Comparison[][] {
  if (random.chance(0.3)) return [randomRule(random, OPERATORS, 1)]
  return Array.from({ length: 1 + random.below(3) }, () => randomRule(random, ['==', 'masked=='], 1 + random.below(3)))
}

function randomRule(random: Random, operators: readonly Comparison['op'][], length: number): Comparison[] {
  const indexes = random.shuffled([0, 1, 2, 3, 4, 5]).slice(0, length)
  return indexes.map((index) => {
    const op = random.pick(operators)
    const value = 1n + random.bigint(31) // nothing is below 0
    if (op !== 'masked==') return { index, op, value: String(value) }
    const mask = random.bigint(32) | 1n
    return { index, op, value: String(value & mask), mask: String(mask) }
  })
}

function randomPolicy(random: Random, rules: boolean): PolicyDocument {
  const architectures: PolicyDocument['architectures'] = {}
  const chosen = random.chance(0.5) ? (['x86_64'] as const) : (['x86_64', 'x86', 'x32'] as const)
  const calls = new Map<string, AllowedSyscall>()
  for (let index = 1 + random.below(30); index > 0; index--) {
    const name = random.pick(ALL.x86_64 as string[])
    const ruled = rules && random.chance(0.4)
    calls.set(name, {
      name,
      ...(ruled ? { rules: randomRules(random) } : {}),
    })
  }
  for (const name of chosen) {
    const syscalls = [...calls.values()]
      .filter((call) => NAMES.numberOf(name, call.name as string) !== undefined)
      // Profiles look at the low halves of x32's registers.
      .map(({ rules, ...call }) => {
        if (rules === undefined) return call
        return { ...call, rules: name === 'x32' ? ofLowHalves(rules) : rules }
      })
    architectures[name] = { known: NAMES.highest(name), syscalls }
  }
  return policy([], { architectures })
}

/** The lists alone, as they stand in a document. */
function lists(architectures: PolicyDocument['architectures']): string {
  return encodePolicy(policy([], { architectures }))
}

test('random policies: oci, docker, kubernetes and spo', async (t) => {
  const random = new Random(5)
  let ruled = 0
  for (let round = 0; round < 400; round++) {
    const before = randomPolicy(random, true)
    const profile = exportOci(oneList(before, NAMES), {
      action: random.pick(['errno', 'kill', 'log']),
      runtimeCalls: [],
    })
    const json = JSON.stringify(profile, (_, value) => (typeof value === 'bigint' ? Number(value) : value))
    const yaml = formatYaml(spoProfile(before, profile))
    for (const [format, text] of [
      ['oci', json],
      ['docker', json],
      ['kubernetes', json],
      ['spo', yaml],
    ] as const) {
      const after = collect(format, text)
      if (lists(after.architectures()) !== lists(before.architectures))
        return t.fail(`${format} differs`, { before, text, notes: after.notes })
    }
    if (architecturesOf(before).some(([, { syscalls }]) => syscalls.some(({ rules }) => rules !== undefined))) ruled++
  }
  t.ok(ruled > 200, `${ruled} of the policies had rules`)
})

test('random policies without rules: systemd', async (t) => {
  const random = new Random(6)
  for (let round = 0; round < 200; round++) {
    const before = randomPolicy(random, false)
    const after = collect('systemd', systemdDropIn(before, oneList(before, NAMES), random.pick(['errno', 'kill'])))
    if (lists(after.architectures()) !== lists(before.architectures)) return t.fail('differs', { before })
  }
  t.pass('200 policies')
})

test('64-bit values survive, where the format can hold them', async (t) => {
  const big = policy([{ name: 'fcntl', rules: [[{ index: 1, op: '==', value: '18446744073709551615' }]] }])
  const profile = exportOci(oneList(big, NAMES), { action: 'errno', runtimeCalls: [] })
  const marked = JSON.stringify(profile, (_, value) => (typeof value === 'bigint' ? `uint64:${value}` : value))
  const after = collect('oci', marked.replace(/"uint64:([0-9]+)"/g, '$1'))
  t.equal(lists(after.architectures()), lists(big.architectures))
  t.throws(() => spoProfile(big, profile), { code: 'EXPORT_IMPOSSIBLE', message: /a rule of fcntl has a value above/ })
})

test('what a format cannot hold is refused, or lost with a report', async (t) => {
  const rules = [[{ index: 0, op: '==' as const, value: 1 }]]
  const some = policy(['read', { name: 'socket', rules }, { number: 600 }, { name: 'pipe2', rules, via: 'pipe' }])
  t.throws(() => oneList(some, NAMES), { code: 'EXPORT_IMPOSSIBLE', message: /number 600.*--lossy/ })
  const { policy: narrower, losses } = withLosses(some, false)
  t.same(losses, ['left out, as it has no name: #600 (x86_64)'])
  t.throws(() => systemdDropIn(narrower, oneList(narrower, NAMES), 'errno'), {
    code: 'EXPORT_IMPOSSIBLE',
    message: /knows no arguments, but the policy has rules for pipe2, socket; .*--lossy/,
  })
  const plain = withLosses(some, true)
  t.same(plain.losses, [
    'left out, as it is allowed with certain arguments only: pipe2 (x86_64)',
    'widened to any arguments: socket (x86_64)',
    'left out, as it has no name: #600 (x86_64)',
  ])
  t.match(
    systemdDropIn(plain.policy, oneList(plain.policy, NAMES), 'errno'),
    /\nSystemCallFilter=read socket\nSystemCallErrorNumber=EPERM\n$/,
  )
  t.throws(() => systemdDropIn(plain.policy, oneList(plain.policy, NAMES), 'log'), { code: 'EXPORT_IMPOSSIBLE' })
})

test('names that Kubernetes takes', async (t) => {
  t.equal(resourceName('web'), 'web')
  t.equal(resourceName('docker.io_library_Nginx-0123'), 'docker.io-library-nginx-0123')
  t.equal(resourceName('a._.b-'), 'a.b')
})
