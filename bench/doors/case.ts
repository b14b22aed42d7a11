/** A way to start a container, measured beside the same way without us. */
import { spawnSync } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Store, Workspace } from '../container.ts'
import { BUILD } from '../paths.ts'
import { annotations, storePolicy } from '../sandbox.ts'

/** What the project wants to stay below, with a cached filter. ms. */
const GOALS = { hook: 6, shim: 10 }

/** Starts a container, and takes away what is left of it. Returns what the start took, in ms; throws where it fails. */
export type Measure = () => number | Promise<number>

export interface Case {
  readonly name: string
  /** The case that it is compared with; none for those. */
  readonly base?: string
  readonly goal?: number
  readonly measure: Measure
}

/** A case with something of ours, beside the one named `base`. */
export function added(base: string, what: string, goal: keyof typeof GOALS | undefined, measure: Measure): Case {
  return { name: `${base}, ${what}`, base, measure, ...(goal === undefined ? {} : { goal: GOALS[goal] }) }
}

export const POLICY = 'bench'
export const ENFORCED = annotations('enforce', POLICY)

/** What the last command wrote to its standard error. */
const ERRORS = join(BUILD, 'doors-errors')

/** Where the cases have their bundles and stores. */
export class Ground {
  readonly workspace: Workspace
  readonly #policy: string

  constructor(workspace: Workspace, policy: string) {
    this.workspace = workspace
    this.#policy = policy
  }

  /** A host configuration whose store has the policy, and more settings. */
  store(name: string, settings: object = {}): Store {
    const store = this.workspace.store(`doors-${name}`, settings)
    storePolicy(store, POLICY, this.#policy)
    return store
  }

  /** A new one outside of the workspace: a socket's path has 107 characters at most, and podman's run root 50. */
  shortFolder(): string {
    const directory = mkdtempSync(join(tmpdir(), 'oci-sandbox-bench-'))
    this.workspace.teardown(() => rmSync(directory, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 }))
    return directory
  }
}

/** Runs a command to its end. */
export function run([program = '', ...args]: readonly string[]): number {
  // Not a pipe: a container that outlives create would keep it open.
  const errors = openSync(ERRORS, 'w')
  const start = process.hrtime.bigint()
  const { status, error } = spawnSync(program, args, { stdio: ['ignore', 'ignore', errors] })
  const ms = since(start)
  closeSync(errors)
  if (status === 0) return ms
  const how = error?.message ?? `exit code ${status}: ${readFileSync(ERRORS, 'utf8')}`
  throw new Error(`${program} ${args.join(' ')}: ${how}`)
}

/** ms from a time of process.hrtime.bigint() on. */
export function since(start: bigint): number {
  return Number(process.hrtime.bigint() - start) / 1e6
}
