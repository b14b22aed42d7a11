/**
 * The host's store of policies:
 *
 *   STORE/policies/NAME/policy.json   the policy
 *   STORE/policies/NAME/runs/         records of runs that are not in it yet, as the tracer writes them
 *   STORE/policies/NAME/events/       each call of runs with io.sandbox.detail=events
 *   STORE/policies/NAME/lock          held by whoever changes policy.json
 *   STORE/cache/                      compiled filters
 *   STORE/journal.ndjson              refusals, and what became of each enforced container
 */
import { readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { SandboxError } from '../errors.ts'
import type { PolicyDocument } from '../generated/policy.ts'
import { makeDirectory, readTrusted, syncDirectories, trustedDirectory, writeAtomic } from '../host/files.ts'
import type { LogLevel } from '../host/journal.ts'
import { decodePolicy, encodePolicy } from './document.ts'
import { isPolicyName, NAME_RULE } from './name.ts'

export class Store {
  readonly root: string

  /** Whether runs that are learned into it bring siblings of their calls (siblings.ts). */
  readonly siblings: boolean

  /** What goes into its journal. */
  readonly logLevel: LogLevel

  /** The policies that were changed through this. */
  readonly changed = new Set<string>()

  constructor(root: string, options: { siblings?: boolean; logLevel?: LogLevel } = {}) {
    this.root = root
    this.siblings = options.siblings ?? true
    this.logLevel = options.logLevel ?? 'info'
  }

  directory(name: string): string {
    if (!isPolicyName(name)) {
      throw new SandboxError('USAGE', `${JSON.stringify(name)} is no policy's name: ${NAME_RULE}`)
    }
    return join(this.root, 'policies', name)
  }

  runs(name: string): string {
    return join(this.directory(name), 'runs')
  }

  /** Where runs with io.sandbox.detail=events leave each call (learn/event-files.ts). */
  events(name: string): string {
    return join(this.directory(name), 'events')
  }

  /** Makes the directories of a policy, and checks those that were there. */
  prepare(name: string): void {
    makeDirectory(this.runs(name), 0o755)
    for (const path of [this.root, join(this.root, 'policies'), this.directory(name), this.runs(name)])
      trustedDirectory(path)
  }

  /** Whether the policy has a directory; throws STORE_UNSAFE where others could change it or one above it in the store. */
  #trusted(name: string): boolean {
    return [this.root, join(this.root, 'policies'), this.directory(name)].every(trustedDirectory)
  }

  /** The names of the policies, sorted: each directory that may hold one. */
  list(): string[] {
    const directory = join(this.root, 'policies')
    if (!trustedDirectory(directory)) return []
    return readdirSync(directory).filter(isPolicyName).sort()
  }

  /**
   * The policy's text as it is stored, or undefined where nothing has been stored. `look` gets the descriptor of the file before it is
   * read. Throws STORE_UNSAFE.
   */
  readText(name: string, look?: (descriptor: number) => void): Buffer | undefined {
    if (!this.#trusted(name)) return undefined
    return readTrusted(join(this.directory(name), 'policy.json'), look)
  }

  /** A policy's text, and how it is decoded; `look` as for readText(). Throws POLICY_NOT_FOUND, STORE_UNSAFE. */
  source(
    name: string,
    look?: (descriptor: number) => void,
  ): { name: string; text: Buffer; decode: () => PolicyDocument } {
    const text = this.readText(name, look)
    if (text === undefined) throw this.notFound(name)
    return { name, text, decode: () => this.decode(name, text) }
  }

  /** Throws POLICY_NOT_FOUND, POLICY_INVALID, STORE_UNSAFE. */
  read(name: string): PolicyDocument {
    return this.source(name).decode()
  }

  decode(name: string, text: Buffer): PolicyDocument {
    const path = join(this.directory(name), 'policy.json')
    const policy = decodePolicy(text.toString('utf8'), path)
    if (policy.name !== name) {
      throw new SandboxError(
        'POLICY_INVALID',
        `policy ${path}: /name: is ${JSON.stringify(policy.name)}, but it is stored as ${name}`,
      )
    }
    return policy
  }

  notFound(name: string): SandboxError {
    return new SandboxError(
      'POLICY_NOT_FOUND',
      `there is no policy ${name} in ${this.root}; run the container once with io.sandbox.mode=learn and io.sandbox.policy=${name}`,
    )
  }

  /** Changes a policy, alone: reads it, hands it to `change`, writes what that returns; then, if there is a policy, `afterwards`. */
  async update(
    name: string,
    change: (policy: PolicyDocument | undefined) => PolicyDocument | undefined,
    afterwards?: (policy: PolicyDocument) => void,
  ): Promise<void> {
    await this.locked(name, () => {
      const text = this.readText(name)
      const before = text === undefined ? undefined : this.decode(name, text)
      const after = change(before)
      if (after === undefined) return
      const encoded = encodePolicy(after)
      if (encoded !== text?.toString('utf8')) {
        // Before its first file: where there is a policy, power loss does not take its directory away.
        if (text === undefined) syncDirectories([join(this.root, 'policies'), this.root, dirname(this.root)])
        writeAtomic(join(this.directory(name), 'policy.json'), encoded, { durable: true })
        this.changed.add(name)
      }
      afterwards?.(after)
    })
  }

  /** Does what nobody else may change the policy meanwhile for. */
  async locked<T>(name: string, work: () => T | Promise<T>): Promise<T> {
    // Only who changes policies loads what locks are made of.
    const { withLock } = await import('../host/lock.ts')
    return await withLock(join(this.directory(name), 'lock'), work)
  }

  /** The files in a policy's runs/, sorted. */
  runFiles(name: string): string[] {
    return this.#trusted(name) && trustedDirectory(this.runs(name)) ? readdirSync(this.runs(name)).sort() : []
  }
}
