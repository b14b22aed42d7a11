/** containerd: a runtime handler for the CRI in its config.toml. */

import { refused, type Tree } from '../host/tree.ts'
import { readToml, verifyEdit, withBlock, withoutBlock } from './block.ts'
import { type Door, RUNTIME_NAME, refuseConfig, requireShim } from './door.ts'
import { at, isTable, type Toml, type TomlTable, tomlString } from './toml.ts'

export const CONTAINERD_CONFIG = '/etc/containerd/config.toml'

/** Where the CRI's runtimes are, by the version of the configuration (containerd 1.3 to 1.7, and 2). */
const PLUGINS: Readonly<Record<number, string>> = { 2: 'io.containerd.grpc.v1.cri', 3: 'io.containerd.cri.v1.runtime' }

/** What containerd starts containers with that name no handler. */
const DEFAULT_RUNTIME = 'runc'

export const containerd: Door = {
  name: 'containerd',
  help: `containerd: a runtime handler "${RUNTIME_NAME}" for Kubernetes, in ${CONTAINERD_CONFIG}`,
  install(tree, options) {
    refuseConfig(options, 'containerd')
    const shim = requireShim()
    const { path, before, without, table } = read(tree)
    const version = versionOf(path, table)
    const runtimes = runtimesPath(version)
    const owned = [...runtimes, RUNTIME_NAME]
    if (at(table, ...owned) !== undefined) {
      throw refused(
        `${path} has a runtime ${RUNTIME_NAME} already that is not of oci-sandbox install; remove it or rename it`,
      )
    }
    const runc = at(table, ...runtimes, 'runc')
    const body = handler(owned, shim, isTable(runc) ? runc : {}) + defaultHandler(table, runtimes)
    const after = withBlock(path, before ?? '', without === '' ? `version = ${version}\n${body}` : body)
    verifyEdit(path, before ?? '', after, ownedOf(without, table, runtimes))
    const disabled = at(table, 'disabled_plugins')
    const off = Array.isArray(disabled) && disabled.some((name) => name === 'cri' || name === PLUGINS[version])
    return {
      changes: [{ path: CONTAINERD_CONFIG, before, after, ours: false, without }],
      notes: [
        ...(off ? [`${path}: disabled_plugins holds the CRI, so Kubernetes cannot use it`] : []),
        'restart containerd: systemctl restart containerd',
        `in Kubernetes: kubectl apply -f deploy/runtimeclass.yaml, and runtimeClassName: ${RUNTIME_NAME} in pods`,
      ],
    }
  },
  uninstall(tree) {
    const { path, before, without, table } = read(tree)
    if (before === undefined || before === without) return { changes: [], notes: [] }
    const standard = [...runtimesPath(versionOf(path, table)).slice(0, -1), 'default_runtime_name']
    if (at(table, ...standard) === RUNTIME_NAME)
      throw refused(
        `${path}: default_runtime_name is ${RUNTIME_NAME}: the CRI would not start without it; name another one first`,
      )
    verifyEdit(path, before, without, ownedOf(without, table, runtimesPath(versionOf(path, table))))
    return {
      changes: [{ path: CONTAINERD_CONFIG, before, after: without === '' ? undefined : without, ours: false, without }],
      notes: ['restart containerd: systemctl restart containerd'],
    }
  },
}

function read(tree: Tree) {
  const path = tree.path(CONTAINERD_CONFIG)
  const before = tree.read(CONTAINERD_CONFIG)
  const without = withoutBlock(path, before ?? '')
  return { path, before, without, table: readToml(path, without) }
}

/** What is ours besides the handler: one for runc where the file has no runtimes, and in a file that was empty or not there the version. */
function ownedOf(without: string, table: TomlTable, runtimes: readonly string[]): (readonly string[])[] {
  return [
    [...runtimes, RUNTIME_NAME],
    ...(needsDefault(table, runtimes) ? [[...runtimes, DEFAULT_RUNTIME]] : []),
    ...(without === '' ? [['version']] : []),
  ]
}

/** A table of runtimes in the file takes the place of containerd's own, which has runc: without runc the CRI would not start. */
function needsDefault(table: TomlTable, runtimes: readonly string[]): boolean {
  const known = at(table, ...runtimes)
  return known === undefined || (isTable(known) && Object.keys(known).length === 0)
}

function defaultHandler(table: TomlTable, runtimes: readonly string[]): string {
  if (!needsDefault(table, runtimes)) return ''
  const name = headerOf([...runtimes, DEFAULT_RUNTIME])
  return `# containerd's own default, which the table above would take away; where you write one yourself, install again.\n[${name}]\n  runtime_type = "io.containerd.runc.v2"\n`
}

function headerOf(path: readonly string[]): string {
  return path.map((key) => (/^[A-Za-z0-9_-]+$/.test(key) ? key : tomlString(key))).join('.')
}

/** Of an empty file: 2, which every containerd since 1.3 takes. */
function versionOf(path: string, table: TomlTable): number {
  const version = at(table, 'version') ?? (Object.keys(table).length === 0 ? 2 : 1)
  if (typeof version === 'number' && version in PLUGINS) return version
  throw refused(
    `${path} is a configuration of version ${version}, expected 2 or 3; convert it with: containerd config migrate`,
  )
}

export function runtimesPath(version: number): string[] {
  return ['plugins', PLUGINS[version] as string, 'containerd', 'runtimes']
}

/** What a handler for us takes over from the one for runc: a kubelet that uses systemd's cgroups needs SystemdCgroup in both. */
function handler(owned: readonly string[], shim: string, runc: TomlTable): string {
  const name = headerOf(owned)
  const options = at(runc, 'options')
  const lines = [
    `[${name}]`,
    '  runtime_type = "io.containerd.runc.v2"',
    '  pod_annotations = ["io.sandbox.*"]',
    '  container_annotations = ["io.sandbox.*"]',
    ...scalars(runc, ['runtime_type', 'runtime_path', 'runtime_engine', 'runtime_root']).map((line) => `  ${line}`),
    `  [${name}.options]`,
    `    BinaryName = ${tomlString(shim)}`,
    ...scalars(isTable(options) ? options : {}, ['BinaryName', 'Root']).map((line) => `    ${line}`),
  ]
  return `${lines.join('\n')}\n`
}

function scalars(table: TomlTable, except: readonly string[]): string[] {
  const written = (value: Toml) => (typeof value === 'string' ? tomlString(value) : `${value}`)
  return Object.entries(table)
    .filter(([key, value]) => /^[A-Za-z0-9_-]+$/.test(key) && typeof value !== 'object' && !except.includes(key))
    .map(([key, value]) => `${key} = ${written(value)}`)
}
