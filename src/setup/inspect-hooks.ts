/** The hook manifests of a system: what is half installed, as far as files tell. */
import { basename, join } from 'node:path'
import type { Settings } from '../decide/settings.ts'
import { oneLine } from '../errors.ts'
import { HELPER } from '../host/paths.ts'
import type { Tree } from '../host/tree.ts'
import type { Finding } from './finding.ts'
import {
  decodeManifest,
  HOOKS_DIRECTORY,
  isOurs,
  type Manifest,
  OVERRIDE_DIRECTORY,
  PODMAN_DIRECTORY,
} from './manifests.ts'
import { hooksDirectories } from './podman.ts'
import { doubtAsked, doubtFile, doubtVersion } from './programs.ts'

const SKIPPED = 'podman SILENTLY skips this hook and starts containers WITHOUT their sandbox'
const HOOKS = ['learn', 'enforce', 'precreate']

interface Found {
  readonly path: string
  readonly directory: string
  readonly manifest: Manifest
}

export function* inspectHooks(tree: Tree, settings: Settings, more: readonly string[]): Generator<Finding> {
  let read: readonly string[]
  try {
    read = hooksDirectories(tree).directories
  } catch (error) {
    yield {
      check: 'podman',
      state: 'problem',
      found: oneLine(error),
      remedy: 'mend the file: podman cannot read it either',
    }
    return
  }
  const directories = new Set([HOOKS_DIRECTORY, OVERRIDE_DIRECTORY, PODMAN_DIRECTORY, ...read, ...more])
  const all: Found[] = []
  for (const directory of directories) yield* inspectDirectory(tree, directory, all)
  for (const found of all) yield inspectManifest(tree, found)
  // What podman runs by itself, or with the --hooks-dir that doctor was told of.
  const active = all.filter(({ directory }) => read.includes(directory) || more.includes(directory))
  yield* inspectSet(tree, active, all)
  yield* inspectRequired(settings, active)
}

function* inspectDirectory(tree: Tree, directory: string, all: Found[]): Generator<Finding> {
  for (const name of tree.list(directory).filter((file) => file.endsWith('.json'))) {
    const path = join(directory, name)
    try {
      const manifest = decodeManifest(tree.read(path) ?? '')
      if (isOurs(manifest) || name.startsWith('oci-sandbox')) all.push({ path, directory, manifest })
    } catch (error) {
      if (!name.startsWith('oci-sandbox')) continue
      const found = `${tree.path(path)}: ${oneLine(error)}: podman starts no container with it`
      yield { check: 'manifest', state: 'problem', found, remedy: 'oci-sandbox install --podman' }
    }
  }
}

function inspectManifest(tree: Tree, { path, directory, manifest }: Found): Finding {
  const { program, hook, stages, environment } = manifest
  const check = 'manifest'
  const name = tree.path(path)
  const helps = basename(program) === HELPER
  const doubt =
    doubtFile(program, SKIPPED) ??
    (helps ? (doubtVersion(program, HELPER) ?? doubtAsked(program)) : doubtVersion(program))
  if (doubt !== undefined) return { check, ...doubt, found: `${name}: ${doubt.found}` }
  const remedy = 'oci-sandbox install --podman'
  if (hook === undefined || !HOOKS.includes(hook)) {
    return {
      check,
      state: 'problem',
      found: `${name} names no hook of ours (oci-sandbox hook ${HOOKS.join(', ')})`,
      remedy,
    }
  }
  if (stages.includes('precreate') && (directory === HOOKS_DIRECTORY || directory === OVERRIDE_DIRECTORY)) {
    const found = `${name} has the stage precreate, which only podman knows: CRI-O, which reads this directory, rejects it`
    return {
      check,
      state: 'problem',
      found,
      remedy: `move it to ${PODMAN_DIRECTORY}: oci-sandbox install --podman --precreate`,
    }
  }
  if (!environment) {
    return {
      check,
      state: 'warning',
      found: `${name} sets no env, so the hook gets the runtime's whole environment`,
      remedy,
    }
  }
  return { check, state: 'ok', found: `${name} -> ${program} hook ${hook}` }
}

/** Whether those that belong together are there. */
function* inspectSet(tree: Tree, active: readonly Found[], all: readonly Found[]): Generator<Finding> {
  const has = (hook: string) => active.some(({ manifest }) => manifest.hook === hook)
  const remedy = 'oci-sandbox install --podman (or name their directory with --hooks-dir, to podman and to doctor)'
  const idle = all.filter((found) => !active.includes(found))
  for (const { path } of idle.filter(({ directory }) => directory !== OVERRIDE_DIRECTORY)) {
    yield {
      check: 'podman',
      state: 'warning',
      found: `${tree.path(path)} is in a directory that podman does not read by itself`,
      remedy,
    }
  }
  if (!has('enforce') && !has('learn')) {
    yield {
      check: 'podman',
      state: 'warning',
      found: 'podman finds no hook manifest: by itself it neither learns nor enforces',
      remedy,
    }
  } else if (!has('enforce')) {
    const found =
      'podman finds the manifest of hook learn and not that of hook enforce: containers that ask for enforce start WITHOUT their sandbox'
    yield { check: 'podman', state: 'problem', found, remedy }
  } else if (!has('learn')) {
    const found =
      'podman finds the manifest of hook enforce and not that of hook learn: containers that ask for learn do not start'
    yield { check: 'podman', state: 'problem', found, remedy }
  }
}

function* inspectRequired({ required }: Settings, active: readonly Found[]): Generator<Finding> {
  for (const mode of ['enforce', 'learn'] as const) {
    if (!required.some((rule) => rule.mode === mode)) continue
    const manifest = active.find((found) => found.manifest.hook === mode)?.manifest
    const bound = manifest?.every === true
    yield {
      check: 'required',
      state: bound ? 'ok' : 'problem',
      found: bound
        ? `hook ${mode} runs for every container of podman`
        : `the host configuration requires ${mode}, but podman runs the hooks for annotated containers only: others start WITHOUT it`,
      ...(bound ? {} : { remedy: 'oci-sandbox install --podman --required' }),
    }
  }
}
