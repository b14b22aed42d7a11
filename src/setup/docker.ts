/** Docker: runtimes in daemon.json, one for each mode, since engines before 24.0 pass no annotations on. */
import { basename } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { refused, type Tree } from '../host/tree.ts'
import { isObject, type Json, parseObject } from '../json.ts'
import { type Door, type Options, RUNTIME_NAME, requireShim } from './door.ts'

export const DOCKER_CONFIG = '/etc/docker/daemon.json'

/** What install adds. */
const NAMES: readonly string[] = [RUNTIME_NAME, `${RUNTIME_NAME}-learn`, `${RUNTIME_NAME}-enforce`]

type Runtimes = Record<string, { path: string; runtimeArgs?: string[] }>

export const docker: Door = {
  name: 'docker',
  help: `Docker: the runtimes ${RUNTIME_NAME}, ${RUNTIME_NAME}-learn and ${RUNTIME_NAME}-enforce, in ${DOCKER_CONFIG}`,
  install(tree, options) {
    const { path, before, config } = read(tree)
    const wanted = entries(requireShim(), options)
    for (const name of Object.keys(wanted)) {
      const known = runtimesOf(path, config)[name]
      if (known !== undefined && !isOurs(known)) {
        throw refused(`${path}: /runtimes/${name} is not of oci-sandbox install; remove it or rename it`)
      }
    }
    const changed = { ...config, runtimes: { ...runtimesOf(path, config), ...wanted } }
    const change = { path: DOCKER_CONFIG, before, after: encode(before, config, changed), ours: false }
    return {
      changes: [{ ...change, without: without(path, before, config) }],
      notes: [
        'let Docker read it: systemctl reload docker (whether it has cannot be seen from here: docker info lists the runtimes)',
      ],
    }
  },
  uninstall(tree) {
    const { path, before, config } = read(tree)
    const after = without(path, before, config)
    if (before === after) return { changes: [], notes: [] }
    const standard = config['default-runtime']
    if (typeof standard === 'string' && NAMES.includes(standard))
      throw refused(
        `${path}: /default-runtime is ${standard}: Docker would not start without it; name another one first`,
      )
    return {
      changes: [{ path: DOCKER_CONFIG, before, after, ours: false, without: after }],
      notes: ['let Docker read it: systemctl reload docker'],
    }
  },
}

/** Names and arguments as the shim takes them. */
function entries(path: string, { config }: Options): Runtimes {
  const own = config === undefined ? [] : ['--config', config]
  const runtime = (...runtimeArgs: string[]) => ({ path, ...(runtimeArgs.length === 0 ? {} : { runtimeArgs }) })
  return {
    [RUNTIME_NAME]: runtime(...own),
    [`${RUNTIME_NAME}-learn`]: runtime(...own, '--mode', 'learn'),
    [`${RUNTIME_NAME}-enforce`]: runtime(...own, '--mode', 'enforce'),
  }
}

function isOurs(runtime: Json): boolean {
  return isObject(runtime) && typeof runtime.path === 'string' && basename(runtime.path) === 'oci-sandbox-runtime'
}

function read(tree: Tree) {
  const path = tree.path(DOCKER_CONFIG)
  const before = tree.read(DOCKER_CONFIG)
  const refuse = (problem: string): never => {
    throw refused(`cannot read ${path}: ${problem}`)
  }
  // Strictly once, for what JSON.parse lets pass; an empty file is what Docker takes for an empty configuration.
  const config = before === undefined || before.trim() === '' ? {} : parseObject(before, refuse)
  // JSON.stringify could not write it back.
  if (hasBigint(config)) return refuse('a number beyond 2^53 - 1')
  return { path, before, config }
}

function hasBigint(value: Json): boolean {
  if (typeof value === 'bigint') return true
  return typeof value === 'object' && value !== null && Object.values(value).some(hasBigint)
}

function runtimesOf(path: string, config: { [key: string]: Json }): { [key: string]: Json } {
  const runtimes = config.runtimes ?? {}
  if (isObject(runtimes)) return runtimes
  throw refused(`${path}: /runtimes: expected an object`)
}

/** The text without our runtimes; undefined where nothing is left of a file that had nothing else. */
function without(path: string, before: string | undefined, config: { [key: string]: Json }): string | undefined {
  const runtimes = runtimesOf(path, config)
  const others = Object.entries(runtimes).filter(([name, runtime]) => !(NAMES.includes(name) && isOurs(runtime)))
  if (others.length === Object.keys(runtimes).length) return before
  const { runtimes: _, ...rest } = config
  const kept = others.length === 0 ? rest : { ...config, runtimes: Object.fromEntries(others) }
  return Object.keys(kept).length === 0 ? undefined : encode(before, config, kept)
}

/** As the file was indented; unchanged where nothing changes. */
function encode(before: string | undefined, config: Json, changed: Json): string {
  if (before !== undefined && isDeepStrictEqual(config, changed)) return before
  const indent = /^\{\s*?\n([ \t]+)"/.exec(before ?? '')?.[1] ?? '  '
  return `${JSON.stringify(changed, null, indent)}\n`
}
