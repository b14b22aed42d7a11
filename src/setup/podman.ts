/** podman: hook manifests, and a drop-in for containers.conf(5) where it must look further or know the shim. */
import { basename, dirname, join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { type Change, refused, type Tree } from '../host/tree.ts'
import { readToml } from './block.ts'
import { type Door, type Plan, RUNTIME_NAME, requireShim } from './door.ts'
import { decodeManifest, HOOKS_DIRECTORY, isOurs, manifestTexts, PODMAN_DIRECTORY } from './manifests.ts'
import { at, tomlString } from './toml.ts'

const DROP_INS = '/etc/containers/containers.conf.d'
export const PODMAN_CONFIG = `${DROP_INS}/90-oci-sandbox.conf`

export const podman: Door = {
  name: 'podman',
  help: `podman: hook manifests in ${HOOKS_DIRECTORY}; where it needs more, ${PODMAN_CONFIG}`,
  install(tree, options) {
    const directory = options.hooksDirectory ?? HOOKS_DIRECTORY
    const manifests = [
      ...place(tree, directory, manifestTexts(options, false)),
      ...(options.precreate ? place(tree, PODMAN_DIRECTORY, manifestTexts(options, true)) : []),
    ]
    const directories = [...new Set(manifests.map(({ path }) => dirname(path)))]
    const dropIn = dropInOf(tree, directories, options.runtime ? requireShim() : undefined)
    const known = tree.read(PODMAN_CONFIG)
    return {
      changes: [...manifests, { path: PODMAN_CONFIG, before: known, after: dropIn, ours: true }],
      notes: [
        'nothing has to be restarted: podman reads this at each start; running containers stay as they are',
        ...(options.every ? ['the hooks run for every container now, also for those without annotations'] : []),
      ],
    }
  },
  uninstall(tree, { hooksDirectory = HOOKS_DIRECTORY }): Plan {
    const known = tree.read(PODMAN_CONFIG)
    const directories = [hooksDirectory, PODMAN_DIRECTORY]
    const changes = directories.flatMap((directory) => installed(tree, directory))
    if (known !== undefined) changes.push({ path: PODMAN_CONFIG, before: known, after: undefined, ours: true })
    return { changes, notes: [] }
  },
}

function place(tree: Tree, directory: string, texts: ReadonlyMap<string, string>): Change[] {
  return [...texts].map(([name, after]) => {
    const path = join(directory, name)
    const before = tree.read(path)
    if (before !== undefined && !isOursText(before)) {
      throw refused(`${tree.path(path)} is no manifest of oci-sandbox; remove it or rename it`)
    }
    const wanted = before === undefined ? after : withChoices(before, after)
    return { path, before, after: before !== undefined && sameJson(before, wanted) ? before : wanted, ours: true }
  })
}

/** What --required and --config have written before stays: a manifest that is brought up to date must not hold fewer containers. */
function withChoices(before: string, after: string): string {
  const [old, manifest] = [JSON.parse(before), JSON.parse(after)]
  if (old.when?.always === true) manifest.when = { always: true }
  const at = Array.isArray(old.hook?.args) ? old.hook.args.indexOf('--config') : -1
  if (at !== -1 && !manifest.hook.args.includes('--config')) manifest.hook.args.push(...old.hook.args.slice(at, at + 2))
  return `${JSON.stringify(manifest, null, 2)}\n`
}

/** make install writes the same manifests in other lines. */
function sameJson(a: string, b: string): boolean {
  return isDeepStrictEqual(JSON.parse(a), JSON.parse(b))
}

/** Our manifests in a directory, as changes that remove them. */
function installed(tree: Tree, directory: string): Change[] {
  return tree
    .list(directory)
    .filter((name) => /^oci-sandbox-.*\.json$/.test(name))
    .map((name) => join(directory, name))
    .map((path) => ({ path, before: tree.read(path), after: undefined, ours: true }))
    .filter(({ before }) => before !== undefined && isOursText(before))
}

function isOursText(text: string): boolean {
  try {
    return isOurs(decodeManifest(text))
  } catch {
    return false
  }
}

/** The drop-in's text, or undefined where podman needs none. */
function dropInOf(tree: Tree, directories: readonly string[], shim: string | undefined): string | undefined {
  const read = hooksDirectories(tree, PODMAN_CONFIG)
  const missing = directories.filter((directory) => !read.directories.includes(directory))
  if (missing.length === 0 && shim === undefined) return undefined
  if (
    missing.length > 0 &&
    read.from !== undefined &&
    basename(read.from) > basename(PODMAN_CONFIG) &&
    dirname(read.from) === DROP_INS
  ) {
    throw refused(
      `${tree.path(read.from)} sets hooks_dir after ${PODMAN_CONFIG} could; add ${missing.join(' and ')} there`,
    )
  }
  const list = [...read.directories, ...missing].map(tomlString).join(', ')
  return [
    '# Made by oci-sandbox install --podman; what is changed here is lost.',
    ...(missing.length > 0 ? ['[engine]', `hooks_dir = [${list}]`] : []),
    ...(shim === undefined ? [] : ['[engine.runtimes]', `${RUNTIME_NAME} = [${tomlString(shim)}]`]),
    '',
  ].join('\n')
}

export interface HooksDirectories {
  readonly directories: readonly string[]
  /** The file that says so; undefined: podman's own default. */
  readonly from?: string
}

/** Where podman looks for hooks when it is started by root (containers.conf(5)); a file may be left out. */
export function hooksDirectories(tree: Tree, except?: string): HooksDirectories {
  const dropIns = tree.list(DROP_INS).filter((name) => name.endsWith('.conf'))
  const files = ['/usr/share/containers/containers.conf', '/etc/containers/containers.conf']
  let result: HooksDirectories = { directories: [HOOKS_DIRECTORY] }
  for (const path of [...files, ...dropIns.map((name) => join(DROP_INS, name))]) {
    const text = path === except ? undefined : tree.read(path)
    if (text === undefined) continue
    const found = at(readToml(tree.path(path), text), 'engine', 'hooks_dir')
    if (Array.isArray(found)) result = { directories: found.filter((item) => typeof item === 'string'), from: path }
  }
  return result
}

/** The runtimes of our name that podman knows: their paths. */
export function podmanRuntimes(tree: Tree): string[] {
  const text = tree.read(PODMAN_CONFIG)
  const paths =
    text === undefined ? undefined : at(readToml(tree.path(PODMAN_CONFIG), text), 'engine', 'runtimes', RUNTIME_NAME)
  return Array.isArray(paths) ? paths.filter((path) => typeof path === 'string') : []
}
