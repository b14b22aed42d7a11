/**
 * kill -9 and power loss at random points: real hooks and commands are recorded with all that they write, and what may be in the store
 * after a failure at some point is put before the real programs. It must be readable, claim nothing that was not seen, and hold
 * what it had shown before. Hundreds of states; thousands with TEST_ALL=1.
 */
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execa } from 'execa'
import { test } from 'tap'
import { seccompLibrary } from '../../src/filter/library.ts'
import type { PolicyDocument } from '../../src/generated/policy.ts'
import { decodeStream } from '../../src/learn/stream.ts'
import { crash, LOSSES, type Loss, materialize, type State } from '../lib/crash/disk.ts'
import { operationsBelow, recorded, straced, type Timed } from '../lib/crash/recorder.ts'
import { Random } from '../lib/random.ts'
import { OCI_SANDBOX, type Result, resultOf, Sandbox } from '../lib/sandbox.ts'

const STATES = process.env.TEST_ALL ? 2000 : 150
const KILLS = process.env.TEST_ALL ? 200 : 12
const SEED = 20261121

/** What was shown when a step had ended, and must not be lost from then on. */
interface Shown {
  readonly time: number
  /** The runs of each policy. */
  readonly policies: ReadonlyMap<string, readonly string[]>
  /** Policies that the step before may have removed or replaced when it was interrupted. */
  readonly touched: readonly string[]
}

interface Recording {
  readonly operations: readonly Timed[]
  readonly shown: readonly Shown[]
  /** The last word on each policy. */
  readonly final: ReadonlyMap<string, PolicyDocument>
}

/** A process that waits as a runtime's init does, until it is let go to become the program. */
async function withInit<T>(sandbox: Sandbox, args: readonly string[], work: (pid: number) => Promise<T>): Promise<T> {
  const shell = join(sandbox.directory, 'init')
  const init = spawn(shell, ['-c', 'read go || exit; exec "$@"', 'sh', ...args], {
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  const ended = once(init, 'exit')
  try {
    const result = await work(init.pid as number)
    init.stdin.end('\n')
    await ended
    return result
  } finally {
    init.kill('SIGKILL')
  }
}

function stateJson(mode: string, status: string, pid: number, more: object = {}, policy = 'x'): string {
  const annotations = { 'io.sandbox.mode': mode, 'io.sandbox.policy': policy, ...more }
  return JSON.stringify({ ociVersion: '1.0.2', id: `c-${pid}`, status, pid, bundle: '/', annotations })
}

/** Real hooks and commands, one after the other, each recorded. */
async function record(sandbox: Sandbox): Promise<Recording> {
  const traces = join(sandbox.directory, 'traces')
  mkdirSync(traces)
  mkdirSync(sandbox.store)
  copyFileSync('/bin/sh', join(sandbox.directory, 'init'))
  let count = 0
  const traced = async (input: string, ...args: string[]): Promise<Result> => {
    const file = join(traces, `${String(++count).padStart(3, '0')}.strace`)
    const [program = '', ...rest] = straced(file, [OCI_SANDBOX, '--config', sandbox.config, ...args])
    const ended = resultOf(
      await execa(program, rest, { input, reject: false, env: { EDITOR: 'sed -i s/geteuid/getegid/' } }),
    )
    if (ended.exitCode !== 0) throw new Error(`${args.join(' ')}: ${ended.stderr}`)
    return ended
  }
  // The hooks' descriptors are files: the tracer's strace would keep a pipe open.
  const hook = async (input: string): Promise<void> => {
    const file = join(traces, `${String(++count).padStart(3, '0')}.strace`)
    const [program = '', ...rest] = straced(file, [OCI_SANDBOX, 'hook', 'learn', '--config', sandbox.config])
    const child = spawn(program, rest, { stdio: ['pipe', 'ignore', 'ignore'] })
    child.stdin.end(input)
    const [code] = await once(child, 'exit')
    if (code !== 0) throw new Error(`the learn hook ended with ${code}: ${JSON.stringify(sandbox.journal())}`)
  }
  const shown: Shown[] = []
  const final = new Map<string, PolicyDocument>()
  const step = async (touched: readonly string[], work: () => Promise<unknown>): Promise<void> => {
    const before = shown.at(-1)
    if (before !== undefined) shown[shown.length - 1] = { ...before, touched }
    await work()
    const { stdout } = await traced('', 'policy', 'list', '--json')
    const names = (JSON.parse(stdout) as { name: string }[]).map(({ name }) => name)
    final.clear()
    for (const name of names) {
      const policy: PolicyDocument = JSON.parse((await traced('', 'policy', 'show', name, '--json')).stdout)
      final.set(name, policy)
    }
    const policies = new Map([...final].map(([name, { runs }]) => [name, runs.map(({ id }) => id)]))
    shown.push({ time: Date.now() / 1000, policies, touched: [] })
  }
  const learn = (policy: string, args: string[], more: object = {}) =>
    step([], async () => {
      const pid = await withInit(
        sandbox,
        [join(sandbox.directory, 'rootfs/fixtures/act-static'), ...args],
        async (pid) => {
          await hook(stateJson('learn', 'creating', pid, more, policy))
          return pid
        },
      )
      await hook(stateJson('learn', 'stopped', pid, more, policy))
    })
  await learn('x', ['hello'])
  await learn('x', ['hello', 'getppid'])
  await learn('y', ['hello', 'socket'], { 'io.sandbox.detail': 'args' })
  await learn('x', ['hello', 'socket'])
  const profile = join(sandbox.directory, 'profile.json')
  const syscalls = [{ names: ['read', 'write', 'exit_group'], action: 'SCMP_ACT_ALLOW' }]
  writeFileSync(
    profile,
    JSON.stringify({ defaultAction: 'SCMP_ACT_ERRNO', architectures: ['SCMP_ARCH_X86_64'], syscalls }),
  )
  await step([], () => traced('', 'import', '--format', 'oci', profile, '--name', 'z'))
  await step([], () => traced('', 'policy', 'merge', 'x', 'z', '--name', 'm'))
  await step(['m', 'n'], () => traced('', 'policy', 'rename', 'm', 'n'))
  await step(['z'], () => traced('', 'policy', 'rm', 'z'))
  await learn('x', ['hello'])
  await recorded(sandbox.directory)
  return { operations: operationsBelow(sandbox.store, traces), shown, final }
}

/** For each run what its record said at its end: the calls, as a policy names them. */
function callsOfRuns(operations: readonly Timed[]): Map<string, Set<string>> {
  const texts = new Map<string, string>()
  for (const { operation } of operations) {
    const run = /\/runs\/([^/]+)\.ndjson$/.exec(operation.path)?.[1]
    if (run === undefined || operation.kind !== 'write') continue
    texts.set(run, (texts.get(run) ?? '') + operation.data.toString('utf8'))
  }
  const seccomp = seccompLibrary()
  const nameOf = (nr: number) => seccomp.resolveNumber('x86_64', nr) ?? `#${nr}`
  return new Map(
    [...texts].map(([run, text]) => {
      const { calls, known } = decodeStream(text)
      return [
        run,
        new Set([...calls.map(({ nr }) => nameOf(nr)), ...known.flatMap(({ numbers }) => numbers.map(nameOf))]),
      ]
    }),
  )
}

/** A state, before the real programs. Returns what is wrong with it. */
class Checker {
  readonly #sandbox: Sandbox
  readonly #recording: Recording
  readonly #runs: Map<string, Set<string>>

  constructor(sandbox: Sandbox, recording: Recording) {
    this.#sandbox = sandbox
    this.#recording = recording
    this.#runs = callsOfRuns(recording.operations)
  }

  async problems(state: State, count: number, deep: boolean): Promise<string[]> {
    const directory = mkdtempSync(join(tmpdir(), 'oci-sandbox-power-loss-'))
    try {
      materialize(state, join(directory, 'store'))
      const config = join(directory, 'config.json')
      writeFileSync(config, JSON.stringify({ store: join(directory, 'store') }))
      const cli = async (...args: string[]) =>
        resultOf(await execa(OCI_SANDBOX, ['--config', config, ...args], { reject: false, stdin: 'ignore' }))
      const found: string[] = []
      const listed = await cli('policy', 'list', '--json')
      if (listed.exitCode !== 0 || listed.stderr !== '') return [`policy list: ${listed.stderr}`]
      const names = (JSON.parse(listed.stdout) as { name: string }[]).map(({ name }) => name)
      const policies = new Map<string, PolicyDocument>()
      for (const name of names) {
        const { exitCode, stdout, stderr } = await cli('policy', 'show', name, '--json')
        if (exitCode !== 0) found.push(`policy show ${name}: ${stderr}`)
        else policies.set(name, JSON.parse(stdout))
      }
      for (const policy of policies.values()) found.push(...this.#falsehoods(policy))
      found.push(...this.#losses(policies, count))
      if (deep) found.push(...(await this.#further(cli, config, policies.get('x'))))
      return found
    } finally {
      rmSync(directory, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 })
    }
  }

  /** Whether it claims more than its runs had shown. */
  *#falsehoods({ name, complete, runs, architectures, imports }: PolicyDocument): Iterable<string> {
    const allowed = new Set(architectures.x86_64?.syscalls.map((call) => call.name ?? `#${call.number}`))
    const whole = runs.filter((run) => run.complete)
    if (complete !== whole.length > 0)
      yield `policy ${name}: complete is ${complete} with ${whole.length} complete runs`
    for (const { id } of whole) {
      const missing = [...(this.#runs.get(id) ?? ['(a run that nobody made)'])].filter((call) => !allowed.has(call))
      if (missing.length > 0) yield `policy ${name}: run ${id} is said to be complete, without ${missing.join(' ')}`
    }
    // One run with arguments: all of them or not complete.
    const final = this.#recording.final.get(name)
    if (name === 'y' && complete && JSON.stringify(architectures) !== JSON.stringify(final?.architectures))
      yield `policy ${name}: complete, but not all that was seen`
    if (runs.length === 0 && (imports ?? []).length === 0) yield `policy ${name}: it comes from nowhere`
  }

  /** What had been shown before and is not there now. */
  *#losses(policies: ReadonlyMap<string, PolicyDocument>, count: number): Iterable<string> {
    const { operations, shown } = this.#recording
    const time = operations[count]?.time ?? Number.POSITIVE_INFINITY
    const before = shown.findLast((one) => one.time < time)
    if (before === undefined) return
    const { policies: known, touched } = before
    for (const [name, runs] of known) {
      const places = touched.includes(name) ? touched : [name]
      if (touched.includes(name) && touched.length === 1) continue
      const there = places.map((place) => policies.get(place)).find((policy) => policy !== undefined)
      if (there === undefined) yield `policy ${name} is lost`
      const ids = new Set(there?.runs.map(({ id }) => id))
      for (const id of runs) if (!ids.has(id)) yield `policy ${name}: run ${id} is lost`
    }
  }

  /** The hooks on that state: enforcing what is there, learning once more. */
  async #further(
    cli: (...args: string[]) => Promise<Result>,
    config: string,
    policy: PolicyDocument | undefined,
  ): Promise<string[]> {
    const found: string[] = []
    const hook = (name: string, pid: number) =>
      execa(OCI_SANDBOX, ['hook', name, '--config', config], { input: stateJson(name, 'creating', pid), reject: false })
    const program = join(this.#sandbox.directory, 'rootfs/fixtures/act-static')
    const enforced = await withInit(this.#sandbox, [program, 'hello'], (pid) => hook('enforce', pid))
    const empty = policy === undefined || Object.keys(policy.architectures).length === 0
    const expected = policy === undefined ? /POLICY_NOT_FOUND/ : empty ? /POLICY_EMPTY/ : undefined
    const right = expected === undefined ? enforced.exitCode === 0 : expected.test(String(enforced.stderr))
    if (!right) found.push(`hook enforce: ${enforced.exitCode} ${enforced.stderr}`)
    const learned = await withInit(this.#sandbox, [program, 'hello'], (pid) => hook('learn', pid))
    if (learned.exitCode !== 0) found.push(`hook learn: ${learned.stderr}`)
    const status = await cli('policy', 'status', 'x', '--json')
    if (status.exitCode !== 0) return [...found, `policy status: ${status.stderr}`]
    const { complete, runs } = JSON.parse(status.stdout) as { complete: boolean; runs: unknown[] }
    if (!complete || runs.length !== (policy?.runs.length ?? 0) + 1)
      found.push(`after one more run: ${JSON.stringify({ complete, runs })}`)
    return found
  }
}

function digest(state: State): string {
  const hash = createHash('sha256')
  for (const [path, node] of [...state].sort(([a], [b]) => (a < b ? -1 : 1))) {
    hash.update(`${path}\0${node.kind}\0`)
    if (node.kind === 'file') hash.update(node.bytes)
  }
  return hash.digest('hex')
}

test('after kill -9 or a power loss at any point the store is readable, and claims no more than was seen', async (t) => {
  t.setTimeout(STATES * 2000) // ms; a fifth of a second each, if nothing else is at work
  const sandbox = await Sandbox.create(t)
  const recording = await record(sandbox)
  const operations = recording.operations.map(({ operation }) => operation)
  t.ok(operations.length > 100, `${operations.length} operations`)
  const kinds = new Set(operations.map(({ kind }) => kind))
  t.same([...kinds].sort(), ['create', 'mkdir', 'remove', 'rename', 'symlink', 'sync', 'truncate', 'write'])

  const checker = new Checker(sandbox, recording)
  const random = new Random(SEED)
  const seen = new Set<string>()
  const queue: { state: State; count: number; loss: Loss; number: number }[] = []
  for (let tries = 0; queue.length < STATES && tries < 20 * STATES; tries++) {
    const count = tries === 0 ? operations.length : random.below(operations.length + 1)
    const loss = random.pick(LOSSES)
    const state = crash(sandbox.store, operations, count, loss, random)
    const key = `${count} ${digest(state)}`
    if (seen.has(key)) continue
    seen.add(key)
    queue.push({ state, count, loss, number: queue.length })
  }
  t.equal(queue.length, STATES)
  const wrong: string[] = []
  const worker = async () => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const { state, count, loss, number } = next
      for (const problem of await checker.problems(state, count, number % 4 === 0))
        wrong.push(
          `${loss} after operation ${count} (${operations[count - 1]?.kind} ${operations[count - 1]?.path}): ${problem}`,
        )
    }
  }
  await Promise.all([worker(), worker()])
  t.same(wrong.slice(0, 20), [], `${wrong.length} problems`)
})

test('kill -9 of whoever merges, at random times: every run gets into the policy, and nobody waits for a lock', async (t) => {
  const sandbox = await Sandbox.create(t)
  const random = new Random(SEED)
  for (let run = 1; run <= KILLS; run++) {
    // Without poststop the record stays until somebody looks.
    const ended = await sandbox.run({
      mode: 'learn',
      args: ['/fixtures/act', 'hello'],
      hooks: { createRuntime: [sandbox.hook('learn')] },
    })
    t.equal(ended.exitCode, 0)
    const [name, ...args] = random.pick([
      ['policy', 'show', 'test'],
      ['policy', 'status', 'test'],
      ['hook', 'settle', 'test'],
    ])
    const merging = spawn(OCI_SANDBOX, [name as string, ...args, '--config', sandbox.config], { stdio: 'ignore' })
    const gone = once(merging, 'exit')
    setTimeout(() => merging.kill('SIGKILL'), random.below(120))
    await gone
  }
  const policy = await sandbox.policy()
  t.equal(policy.runs.length, KILLS)
  t.same(
    policy.runs.filter(({ complete }) => !complete),
    [],
  )
})
