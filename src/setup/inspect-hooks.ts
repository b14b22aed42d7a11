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
/** The stages in which the container's process waits. */
const EARLY = ['createRuntime', 'prestart']

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
  // What podman runs by itself, or with the --hooks-dir that doctor was told of: of a name, what stands in the last directory.
  const order = [...read, ...more]
  const byName = new Map<string, Found>()
  for (const directory of order)
    for (const found of all.filter((one) => one.directory === directory)) byName.set(basename(found.path), found)
  const active = [...byName.values()]
  for (const found of all) {
    const last = byName.get(basename(found.path))
    if (last === undefined || last === found || !order.includes(found.directory)) continue
    yield {
      check: 'podman',
      state: 'warning',
      found: `${tree.path(found.path)} is not read: ${tree.path(last.path)} has the same name, and stands in a later directory`,
      remedy: 'remove one of them',
    }
  }
  const idle = all.filter(({ directory }) => !order.includes(directory))
  yield* inspectSet(tree, active, idle)
  yield* inspectTwice(tree, active)
  yield* inspectRequired(tree, settings, active)
}

/** Two of a kind would not let each other attach. */
function* inspectTwice(tree: Tree, active: readonly Found[]): Generator<Finding> {
  for (const hook of HOOKS) {
    const same = active.filter(({ manifest }) => manifest.hook === hook).map(({ path }) => tree.path(path))
    if (same.length < 2) continue
    const found = `podman runs hook ${hook} ${same.length} times (${same.join(', ')}): containers that ask for it do not start`
    yield { check: 'podman', state: 'problem', found, remedy: 'remove all but one of them' }
  }
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
  // precreate is for podman alone, and needs no process that waits.
  if (hook !== 'precreate' && !stages.some((stage) => EARLY.includes(stage))) {
    const found = `${name} has the stages ${stages.join(', ') || '(none)'}: hook ${hook} works in createRuntime alone (or prestart), so containers start WITHOUT their sandbox`
    return { check, state: 'problem', found, remedy }
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
function* inspectSet(tree: Tree, active: readonly Found[], idle: readonly Found[]): Generator<Finding> {
  const has = (hook: string) => active.some(({ manifest }) => manifest.hook === hook)
  const remedy = 'oci-sandbox install --podman (or name their directory with --hooks-dir, to podman and to doctor)'
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

/** Where podman would be. */
const PROGRAMS = ['/usr/bin', '/usr/local/bin', '/bin']

function* inspectRequired(tree: Tree, { required }: Settings, active: readonly Found[]): Generator<Finding> {
  const podman = PROGRAMS.some((directory) => tree.list(directory).includes('podman'))
  for (const mode of ['enforce', 'learn'] as const) {
    if (!required.some((rule) => rule.mode === mode)) continue
    const manifest = active.find((found) => found.manifest.hook === mode)?.manifest
    const bound = manifest?.every === true
    yield {
      check: 'required',
      state: bound ? 'ok' : podman ? 'problem' : 'warning',
      found: bound
        ? `hook ${mode} runs for every container of podman`
        : `the host configuration requires ${mode}, but podman runs the hooks for annotated containers only: others start WITHOUT it`,
      ...(bound ? {} : { remedy: 'oci-sandbox install --podman --required' }),
    }
  }
}
