/** What a door of this program is: something that starts containers and is told about us in its configuration. */
import { existsSync } from 'node:fs'
import type { Requirement } from '../decide/required.ts'
import { shimPath } from '../host/paths.ts'
import { type Change, refused, type Tree } from '../host/tree.ts'

/** The name of our runtime in everybody's configuration. */
export const RUNTIME_NAME = 'oci-sandbox'

export interface Options {
  /** A host configuration that is not the usual one; undefined: the usual one. */
  readonly config?: string
  /** podman: where the manifests go. */
  readonly hooksDirectory?: string
  /** podman: the hooks run for every container. */
  readonly every: boolean
  /** podman: also the hook that changes the bundle before the runtime reads it. */
  readonly precreate: boolean
  /** podman: also the shim, as a runtime. */
  readonly runtime: boolean
  /** What the host configuration requires. */
  readonly required: readonly Requirement[]
}

export interface Plan {
  readonly changes: readonly Change[]
  /** What the user has to know or to do. */
  readonly notes: readonly string[]
}

export interface Door {
  readonly name: string
  /** What install does there, for its help. */
  readonly help: string
  /** Both throw SETUP_REFUSED where a file is not as it must be, and change nothing yet. */
  install(tree: Tree, options: Options): Plan
  uninstall(tree: Tree, options: Options): Plan
}

/** The shim's path, for whoever will start it. Throws SETUP_REFUSED where it is not there. */
export function requireShim(): string {
  const path = shimPath()
  if (!existsSync(path)) throw refused(`the runtime ${path} is missing; run make build or make install`)
  return path
}

/** For those that can start a runtime with its path alone. */
export function refuseConfig({ config }: Options, name: string): void {
  if (config === undefined) return
  throw refused(
    `${name} starts the runtime without arguments, so ${config} cannot be named there; use /etc/oci-sandbox/config.json`,
  )
}
