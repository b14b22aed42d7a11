import { test } from 'tap'
import type { PolicyDocument } from '../../src/generated/policy.ts'
import { mergePolicies } from '../../src/policy/merge.ts'
import { policyStatus, upperBound } from '../../src/policy/status.ts'
import { bySubsystem, OTHER, subsystemOf } from '../../src/policy/subsystems.ts'
import { surfaceOf } from '../../src/policy/surface.ts'
import { NAMES } from '../lib/imports.ts'
import { policy, run } from '../lib/policies.ts'
import { Random } from '../lib/random.ts'

/** The policy of one run, by its number. */
function learned(number: number, calls: readonly string[], more: Parameters<typeof run>[1] = {}): PolicyDocument {
  const id = `r${number}`
  const started = new Date(Date.UTC(2026, 0, 1) + number * 60_000).toISOString()
  const syscalls = calls.map((name) => ({ name, count: 1, since: id }))
  return policy([...syscalls, { name: 'restart_syscall' }], {
    runs: [run(id, { started, distinct: calls.length, kernel: '6.1', ...more })],
    complete: more.complete ?? true,
  })
}

test('what each run added, when the last new call came, what only one run made', async (t) => {
  const runs = [learned(1, ['read', 'write']), learned(2, ['read', 'write', 'pause']), learned(3, ['read', 'write'])]
  const status = policyStatus(runs.reduce(mergePolicies))
  t.same(
    status.runs.map(({ id, new: fresh, alone }) => [id, fresh, alone]),
    [
      ['r1', 2, 0],
      ['r2', 1, 1],
      ['r3', 0, 0],
    ],
  )
  t.match(status.lastNew, { run: 'r2', runsSince: 1, calls: ['pause (x86_64)'] })
  t.same(status.alone, [{ call: 'pause (x86_64)', run: 'r2' }])
  t.match(status.convergence, { runs: 3, surprising: 1, chance: 1 / 3 })
})

test('one run says nothing about the next; no run gives no estimate', async (t) => {
  t.match(policyStatus(learned(1, ['read'])).convergence, { runs: 1, surprising: 1, chance: 1, atMost: 1 })
  t.same(policyStatus(policy(['read'])).convergence, { runs: 0, surprising: 0 })
  const none = mergePolicies(learned(1, ['read']), learned(2, [], { distinct: 0 }))
  t.match(policyStatus(none).convergence, { runs: 1 }, 'a run that saw no call is no sample')
})

test('the estimate is the chance, on average: simulated runs of known calls', async (t) => {
  const random = new Random(3)
  const names = [...NAMES.all('x86_64')].slice(0, 60)
  // Calls of every frequency, from each run to one in sixty.
  const draw = () => names.filter((_, index) => random.chance(1 / (index + 1)))
  let [estimated, happened, held] = [0, 0, 0]
  const rounds = 400
  for (let round = 0; round < rounds; round++) {
    const samples = Array.from({ length: 12 }, draw)
    const merged = samples.map((calls, index) => learned(index, calls)).reduce(mergePolicies)
    const { chance = 0, atMost = 0 } = policyStatus(merged).convergence
    const seen = new Set(samples.flat())
    estimated += chance
    let surprises = 0
    for (let next = 0; next < 20; next++) if (draw().some((call) => !seen.has(call))) surprises++
    happened += surprises / 20
    if (surprises / 20 <= atMost) held++
  }
  const difference = Math.abs(estimated - happened) / rounds
  t.ok(difference < 0.08, `on average ${estimated / rounds} was estimated, ${happened / rounds} happened`)
  t.ok(held / rounds > 0.8, `the bound held in ${held} of ${rounds}`)
})

test('the bound', async (t) => {
  t.equal(upperBound(5, 5), 1)
  t.ok(Math.abs(upperBound(0, 1) - 0.95) < 1e-9)
  t.ok(Math.abs(upperBound(0, 59) - 0.0495) < 0.001, 'none in 59 runs: below 5 %')
  t.ok(Math.abs(upperBound(2, 10) - 0.5069) < 0.001)
  t.ok(upperBound(3, 100_000) < 0.0001)
})

test('what was not seen', async (t) => {
  const hints = (document: PolicyDocument) => policyStatus(document).hints.join('\n')
  t.match(hints(policy(['read'])), /no run was learned/)
  const one = hints(learned(1, ['read']))
  for (const hint of [
    /one run only/,
    /exit code 0/,
    /no signal handler/,
    /no run had threads/,
    /one kernel only \(6\.1\)/,
  ])
    t.match(one, hint)
  const failed = learned(2, ['read', 'rt_sigreturn'], { exit: { code: 1 }, tasks: 3, kernel: '6.12' })
  const both = hints(mergePolicies(learned(1, ['read']), failed))
  for (const hint of [/one run only/, /exit code 0/, /no signal handler/, /no run had threads/, /one kernel/])
    t.notMatch(both, hint)
  t.match(hints(learned(1, ['read'], { complete: false })), /no run was seen to its end/)
  t.match(hints(learned(1, ['read'], { exit: { signal: 9 } })), /every run was ended by a signal/)
  const lost = { complete: false, lost: { tasks: 1, calls: 0, writes: 0 } }
  t.match(hints(learned(1, ['read'], lost)), /1 of 1 runs lost something/)
})

test('the surface: allowed of all, by subsystem, and what goes beyond another policy', async (t) => {
  const [x86] = surfaceOf(policy(['read', 'bpf', 'ptrace']), NAMES, policy(['read', 'write', 'bpf']))
  t.match(x86, { architecture: 'x86_64', allowed: 3, against: { allowed: 3, beyond: ['ptrace'] } })
  t.equal(x86?.all, [...NAMES.all('x86_64')].length)
  t.match(
    x86?.subsystems.find(({ subsystem }) => subsystem === 'tracing and BPF'),
    { allowed: 2 },
  )
  t.equal(
    x86?.subsystems.reduce((sum, { all }) => sum + all, 0),
    x86?.all,
  )
})

test('nearly every call has its subsystem', async (t) => {
  for (const architecture of ['x86_64', 'x86', 'aarch64'] as const) {
    const others = [...NAMES.all(architecture)].filter((name) => subsystemOf(name) === OTHER)
    t.ok(others.length < 25, others.join(' '))
  }
  for (const [call, subsystem] of [
    ['openat2', 'files'],
    ['sendto', 'network'],
    ['sendfile', 'reading and writing'],
    ['io_uring_setup', 'io_uring and AIO'],
    ['ioperm', 'modules and power'],
    ['setresuid32', 'users and groups'],
    ['clone3', 'processes'],
    ['mount_setattr', 'mounts'],
    ['init_module', 'modules and power'],
  ] as const)
    t.equal(subsystemOf(call), subsystem, call)
  t.ok(bySubsystem(['read'], new Set()).length === 1)
})
