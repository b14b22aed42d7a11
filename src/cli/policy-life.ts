/** policy merge, rename and rm. */
import { existsSync, readdirSync, renameSync, rmdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { SandboxError } from '../errors.ts'
import { failed } from '../host/files.ts'
import { print } from '../host/output.ts'
import { liveRuns } from '../learn/live.ts'
import { foldPendingRuns } from '../learn/pending.ts'
import { mergePolicies } from '../policy/merge.ts'
import type { Store } from '../policy/store.ts'
import type { Command } from './command.ts'
import { loadPolicy } from './load.ts'

const MAX_POLICIES = 10_000

export const policyMerge: Command = {
  name: 'policy merge',
  operands: 'POLICY...',
  summary: 'Merge policies into one: what any of them allows.',
  details:
    'POLICY is the name of a policy in the store, or a path with a slash. If there is a policy NAME, it is merged as well. The order\n' +
    'does not matter, and merging a policy twice changes nothing.',
  options: { name: { type: 'string', value: 'NAME', help: 'the policy that they become (required)' } },
  arity: [1, MAX_POLICIES],
  async run({ operands, store, text }) {
    const name = text('name')
    if (name === undefined)
      throw new SandboxError('USAGE', 'policy merge: say which policy they become with --name NAME')
    store.directory(name)
    const policies = await Promise.all(operands.map((operand) => loadPolicy(store, operand)))
    store.prepare(name)
    await foldPendingRuns(store, name)
    await store.update(name, (stored) => {
      const all = stored === undefined ? policies : [stored, ...policies]
      return { ...all.reduce(mergePolicies), name }
    })
    return 0
  },
}

export const policyRename: Command = {
  name: 'policy rename',
  operands: 'OLD NEW',
  summary: 'Give a policy another name.',
  details:
    'Containers name their policy in io.sandbox.policy: change it there as well. Runs that go on are recorded to the new name.',
  arity: [2, 2],
  async run({ operands, store }) {
    const [from, to] = operands as [string, string]
    await loadPolicy(store, inStore(from))
    store.directory(to)
    refuseExisting(store, to)
    // A run that is merged while we look would be lost.
    await store.locked(from, async () => {
      const policy = store.read(from)
      store.prepare(to)
      await store.update(to, (stored) => {
        if (stored !== undefined) throw exists(to)
        return { ...policy, name: to }
      })
      // Both are there until here: a power failure doubles a policy rather than lose it.
      for (const file of store.runFiles(from)) renameSync(join(store.runs(from), file), join(store.runs(to), file))
      if (existsSync(store.events(from))) renameSync(store.events(from), store.events(to))
      remove(store, from)
    })
    return 0
  },
}

export const policyRm: Command = {
  name: 'policy rm',
  operands: 'POLICY...',
  summary: 'Remove policies from the store.',
  details:
    'A policy that a running container is learned into is not removed, unless --force says so: that run is then lost.',
  options: { force: { type: 'boolean', help: 'also where a container is being learned into it' } },
  arity: [1, MAX_POLICIES],
  async run({ operands, store, flag }) {
    for (const name of operands) {
      const directory = store.directory(inStore(name))
      if (!store.list().includes(name)) throw store.notFound(name)
      await finishMerging(store, name)
      // Whoever merges a run at the same time would write the policy again behind us.
      await store.locked(name, () => {
        const live = liveRuns(store, name)
        if (live.length > 0 && !flag('force')) {
          throw new SandboxError(
            'STORE_FAILED',
            `policy ${name}: a container is being learned into it (run ${live[0]?.run}); wait for its end, or lose that run with --force`,
          )
        }
        for (const file of store.runFiles(name)) rmSync(join(store.runs(name), file), { force: true })
        remove(store, name)
      })
      print(`removed ${directory}\n`)
    }
    return 0
  },
}

/** What is left of a container that has just ended would otherwise come back after the removal. A policy that is broken can be removed as well. */
async function finishMerging(store: Store, name: string): Promise<void> {
  try {
    await foldPendingRuns(store, name)
  } catch (error) {
    if (!(error instanceof SandboxError)) throw error
  }
}

/** A path with a slash is no policy of the store. */
function inStore(name: string): string {
  if (name.includes('/')) throw new SandboxError('USAGE', `${name}: expected the name of a policy in the store`)
  return name
}

function refuseExisting(store: Store, name: string): void {
  // A directory alone is what a rename that failed has left.
  if (store.list().includes(name) && (store.readText(name) !== undefined || store.runFiles(name).length > 0))
    throw exists(name)
}

function exists(name: string): SandboxError {
  return new SandboxError(
    'STORE_FAILED',
    `there is a policy ${name} already; remove it with policy rm, or merge the two with policy merge`,
  )
}

/** Removes what a policy is made of. A record that came meanwhile stays, and keeps its directory. */
function remove(store: Store, name: string): void {
  const directory = store.directory(name)
  try {
    for (const file of readdirSync(directory))
      if (file !== 'runs') rmSync(join(directory, file), { recursive: true, force: true })
    if (store.runFiles(name).length === 0) {
      rmSync(store.runs(name), { recursive: true, force: true })
      rmdirSync(directory)
    }
  } catch (error) {
    throw failed(`remove ${directory}`, error)
  }
}
