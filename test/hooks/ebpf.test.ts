/** Learning with eBPF from the hooks: nobody holds the container back at its end, and still nothing is lost. */
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'tap'
import type { PolicyDocument } from '../../src/generated/policy.ts'
import { until } from '../lib/events.ts'
import { kill9, processWithAll } from '../lib/processes.ts'
import { resultOf, Sandbox } from '../lib/sandbox.ts'
import { startWaiting } from '../lib/waiting.ts'

const backend = (name: string) => ({ learn: { backend: name } })

/** What programs did, without what is different in each run. */
function observed({ complete, architectures, runs }: PolicyDocument): unknown {
  const lists = Object.entries(architectures).map(([name, { syscalls }]) => [
    name,
    syscalls.map(({ name, number, count, learned }) => ({ name, number, count, learned })),
  ])
  const ends = runs.map((run) => [run.complete, run.reason, run.exit, run.program, run.calls, run.tasks, run.lost])
  return { complete, lists, ends }
}

for (const detail of ['names', 'args']) {
  test(`a policy learned with eBPF is the one learned with ptrace: ${detail}`, async (t) => {
    const policies: unknown[] = []
    for (const name of ['ebpf', 'ptrace-syscall']) {
      const sandbox = await Sandbox.create(t, backend(name))
      const args = ['/fixtures/act', 'hello', 'socket', 'unix', 'ioctls', '9', 'exit', '7']
      const result = await sandbox.run({ mode: 'learn', args, annotations: { 'io.sandbox.detail': detail } })
      t.match(result, { exitCode: 7, stdout: 'hello: ok\nsocket: ok\nunix: ok\nioctls: ok' })
      const policy = await sandbox.policy()
      t.match(policy.runs[0], { backend: name, detail })
      policies.push(observed(policy))
    }
    t.same(policies[0], policies[1])
    t.equal(JSON.stringify(policies[0]).includes('"values":[[1,1,0],[2,1,0]]'), detail === 'args')
  })
}

test('a tracer that is late at the end holds up whoever reads the policy, not the runtime', async (t) => {
  const sandbox = await Sandbox.create(t, backend('ebpf'))
  const args = ['/fixtures/act', 'hello', 'wait', 'socket', 'exit', '7']
  const { running } = await startWaiting(sandbox, { mode: 'learn', args })
  const tracer = processWithAll('oci-sandbox-tracer', sandbox.store)
  if (tracer === undefined) throw new Error('there is no tracer')
  process.kill(tracer, 'SIGSTOP')
  let shown: Promise<PolicyDocument> | undefined
  try {
    running.stdin.end()
    t.match(resultOf(await running), { exitCode: 7 }, 'the runtime has come back')
    const runs = join(dirname(sandbox.policyPath()), 'runs')
    const records = readdirSync(runs).filter((file) => file.endsWith('.ndjson'))
    t.equal(records.length, 1)
    t.notMatch(readFileSync(join(runs, String(records[0])), 'utf8'), /"finish"/)
    shown = sandbox.policy()
    await until('the policy is asked for', () => processWithAll('policy', 'show', sandbox.config) !== undefined)
    // Nobody but the two who wait for the tracer looks after the run.
    await until('what the hook left waits', () => processWithAll('hook', 'settle', sandbox.config) !== undefined)
    t.notOk(existsSync(sandbox.policyPath()))
  } finally {
    process.kill(tracer, 'SIGCONT')
  }
  t.match(await shown, { complete: true, runs: [{ backend: 'ebpf', complete: true, exit: { code: 7 } }] })
  t.match(sandbox.journal(), [{ event: 'learned', message: /^policy test: run complete, \d+ calls, \d+ different/ }])
})

test('what the hook leaves behind in poststop keeps nothing of its own, and may be killed', async (t) => {
  const sandbox = await Sandbox.create(t, backend('ebpf'))
  const { running } = await startWaiting(sandbox, { mode: 'learn', args: ['/fixtures/act', 'wait'] })
  const tracer = processWithAll('oci-sandbox-tracer', sandbox.store)
  if (tracer === undefined) throw new Error('there is no tracer')
  process.kill(tracer, 'SIGSTOP')
  try {
    running.stdin.end()
    t.match(resultOf(await running), { exitCode: 0 })
    // Its command line can be seen a moment after its start.
    const find = () => processWithAll('hook', 'settle', sandbox.config)
    await until('what the hook left is there', () => find() !== undefined)
    const settling = find() as number
    for (const number of [0, 1, 2]) t.equal(readlinkSync(`/proc/${settling}/fd/${number}`), '/dev/null')
    t.equal(readFileSync(`/proc/${settling}/environ`, 'utf8'), '')
    t.equal(readlinkSync(`/proc/${settling}/cwd`), '/')
    kill9(settling)
  } finally {
    process.kill(tracer, 'SIGCONT')
  }
  t.match(
    await sandbox.policy(),
    { complete: true, runs: [{ complete: true }] },
    'the next one that looks merges the run',
  )
})

test('a program that installs a filter: the first run is partial, the next one knows of it and is complete', async (t) => {
  const sandbox = await Sandbox.create(t, backend('ebpf'))
  // struct sock_filter: return SECCOMP_RET_ALLOW; struct sock_fprog; PR_SET_NO_NEW_PRIVS; seccomp(SECCOMP_SET_MODE_FILTER)
  const script = `
import ctypes, struct
libc = ctypes.CDLL(None)
code = ctypes.create_string_buffer(struct.pack('HBBI', 6, 0, 0, 0x7fff0000))
libc.prctl(38, 1, 0, 0, 0)
print(libc.syscall(317, 1, 0, struct.pack('H6xP', 1, ctypes.addressof(code))))`
  const container = { mode: 'learn', args: ['/usr/bin/python3', '-c', script] } as const
  t.match(await sandbox.run(container), { exitCode: 0, stdout: '0' })
  t.match(await sandbox.policy(), {
    complete: false,
    runs: [{ complete: false, reason: 'exited', lost: { calls: 1 } }],
  })
  t.match(await sandbox.run(container), { exitCode: 0, stdout: '0' })
  t.match((await sandbox.policy()).runs.at(-1), { complete: true, lost: { calls: 0 } })
})
