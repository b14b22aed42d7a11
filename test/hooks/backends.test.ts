/** How containers are watched, through the hooks: later runs watch what the policy does not hold, and claim no more than that. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { execa } from 'execa'
import { test } from 'tap'
import type { AllowedSyscall, PolicyDocument } from '../../src/generated/policy.ts'
import { until } from '../lib/events.ts'
import { namesOf, resultOf, Sandbox } from '../lib/sandbox.ts'

const hello = { mode: 'learn', args: ['/fixtures/act', 'hello'] } as const

/** Without eBPF, which the tracer would choose. */
const KNOWN = { learn: { backend: 'ptrace-known' } }

/** Learns a container that waits, does something meanwhile, and lets it end with one call that no run has made before. */
async function learnAround(sandbox: Sandbox, meanwhile: () => unknown): Promise<PolicyDocument> {
  const bundle = sandbox.bundle({ mode: 'learn', args: ['/fixtures/act', 'wait', 'socket'] })
  const args = sandbox.runcArgs('run', '--bundle', bundle, sandbox.newId())
  const running = execa('runc', args, { reject: false, stdin: 'pipe' })
  let said = ''
  running.stdout.on('data', (chunk: Buffer) => {
    said += chunk
  })
  await until('the container waits', () => said.includes('wait: ready'))
  await meanwhile()
  running.stdin.end()
  const { exitCode, stderr } = resultOf(await running)
  if (exitCode !== 0) throw new Error(`the container ended with ${exitCode}: ${stderr}`)
  return await sandbox.policy()
}

/** After two runs calls are known. */
async function learnTwice(sandbox: Sandbox): Promise<void> {
  for (let i = 0; i < 2; i++) await sandbox.run(hello)
}

test('the third run watches only what no two runs have shown', async (t) => {
  const sandbox = await Sandbox.create(t, KNOWN)
  await learnTwice(sandbox)
  const first = await sandbox.policy()
  t.match(first.runs, [
    { backend: 'ptrace-syscall', complete: true },
    { backend: 'ptrace-syscall', complete: true },
  ])
  t.notOk('unwatched' in (first.runs[1] ?? {}))
  await sandbox.run({ ...hello, args: ['/fixtures/act', 'hello', 'getppid'] })
  const { runs, complete, architectures } = await sandbox.policy()
  const seen = architectures.x86_64?.syscalls ?? []
  const known = first.architectures.x86_64?.syscalls.filter(({ since }) => since !== undefined) ?? []
  t.equal(complete, true)
  t.match(runs[2], { backend: 'ptrace-known', complete: true, counts: 'at-least', unwatched: known.length })
  t.equal(seen.find(({ name }) => name === 'getppid')?.since, runs[2]?.id)
  t.ok((runs[2]?.distinct ?? 99) < known.length, 'what was not watched is not claimed')
  t.same(new Set(namesOf(await sandbox.policy())), new Set([...namesOf(first), 'getppid']))

  await sandbox.run({ ...hello, args: ['/fixtures/act', 'hello', 'getppid'] })
  const again = (await sandbox.policy()).architectures.x86_64?.syscalls.find(({ name }) => name === 'getppid')
  t.not(again?.again, undefined, 'what one run alone has shown is watched on')
  const { convergence } = JSON.parse((await sandbox.cli('policy', 'status', 'test', '--json')).stdout)
  t.match(convergence, { runs: 4, surprising: 0 })
})

test('a run that watched less than the policy now lacks is partial', async (t) => {
  const changes: Record<string, (sandbox: Sandbox) => void> = {
    'the policy was deleted': (sandbox) => rmSync(sandbox.policyPath()),
    'a call was taken out of it': (sandbox) => change(sandbox, (call) => call.name !== 'write'),
    'the arguments of a call were restricted': (sandbox) =>
      change(sandbox, (call) => {
        if (call.name === 'write') call.rules = [[{ index: 0, op: '==', value: 2 }]]
        return true
      }),
  }
  for (const [name, meanwhile] of Object.entries(changes)) {
    const sandbox = await Sandbox.create(t, KNOWN)
    await learnTwice(sandbox)
    const policy = await learnAround(sandbox, () => meanwhile(sandbox))
    const run = policy.runs.at(-1)
    t.match(run, { backend: 'ptrace-known', complete: false, reason: /calls were not watched/ }, name)
    t.ok(namesOf(policy).includes('socket'), `${name}: what it saw is kept`)
    if (name === 'the policy was deleted') t.equal(policy.complete, false, name)
  }
  const sandbox = await Sandbox.create(t, KNOWN)
  await learnTwice(sandbox)
  const { runs } = await learnAround(sandbox, () => undefined)
  t.match(runs, [{ complete: true }, { complete: true }, { complete: true, backend: 'ptrace-known' }])
})

function change(sandbox: Sandbox, keep: (call: AllowedSyscall) => boolean): void {
  const policy = JSON.parse(readFileSync(sandbox.policyPath(), 'utf8'))
  policy.architectures.x86_64.syscalls = policy.architectures.x86_64.syscalls.filter(keep)
  writeFileSync(sandbox.policyPath(), JSON.stringify(policy))
}

test('a list of calls that belongs to another policy is not used', async (t) => {
  const sandbox = await Sandbox.create(t, KNOWN)
  await learnTwice(sandbox)
  const list = readFileSync(join(sandbox.policyPath(), '../known'), 'utf8')
  t.match(list, /^# sha256:[0-9a-f]{64}\n# sha256:[0-9a-f]{64}\nx86_64 0\n/)
  change(sandbox, ({ name }) => name !== 'write')
  await sandbox.run(hello)
  const { runs, architectures } = await sandbox.policy()
  t.match(runs[2], { backend: 'ptrace-syscall', complete: true })
  t.ok(architectures.x86_64?.syscalls.find(({ name }) => name === 'write')?.since)
})

test('calls that nobody saw, or with restricted arguments, are watched', async (t) => {
  const sandbox = await Sandbox.create(t, KNOWN)
  await learnTwice(sandbox)
  const list = () => readFileSync(join(sandbox.policyPath(), '../known'), 'utf8').split('\n')
  t.notOk(list().includes('x86_64 219'), 'restart_syscall is allowed, but was not seen')
  t.ok(list().includes('x86_64 1'))
  change(sandbox, (call) => {
    if (call.name === 'write') call.rules = [[{ index: 0, op: '==', value: 1 }]]
    return true
  })
  await sandbox.run({ ...hello, args: ['/fixtures/act', 'exit', '0'] })
  t.notOk(list().includes('x86_64 1'), 'write is not in the list any more')
})

test("the host's word on how to watch", async (t) => {
  for (const backend of ['ptrace-syscall', 'ptrace-trace', 'ptrace-adaptive', 'ptrace-known']) {
    const sandbox = await Sandbox.create(t, { learn: { backend } })
    for (let i = 0; i < 3; i++) t.equal((await sandbox.run(hello)).exitCode, 0)
    const backends = (await sandbox.policy()).runs.map((run) => run.backend)
    // Too few calls for a filter: the policy says what was done.
    const expected: Record<string, string[]> = {
      'ptrace-adaptive': ['ptrace-syscall', 'ptrace-syscall', 'ptrace-syscall'],
      'ptrace-known': ['ptrace-syscall', 'ptrace-syscall', 'ptrace-known'],
    }
    t.same(backends, expected[backend] ?? [backend, backend, backend], backend)
  }
})
