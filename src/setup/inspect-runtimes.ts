/** The runtimes of ours that containerd, Docker, CRI-O and podman were told of. */
import { basename } from 'node:path'
import { oneLine } from '../errors.ts'
import { SHIM } from '../host/paths.ts'
import type { Tree } from '../host/tree.ts'
import { isObject, parseJson } from '../json.ts'
import { CONTAINERD_CONFIG, runtimesPath } from './containerd.ts'
import { CRIO_CONFIG } from './crio.ts'
import { DOCKER_CONFIG } from './docker.ts'
import { RUNTIME_NAME } from './door.ts'
import type { Finding } from './finding.ts'
import { PODMAN_CONFIG, podmanRuntimes } from './podman.ts'
import { doubtAsked, doubtFile } from './programs.ts'
import { at, isTable, parseToml } from './toml.ts'

const FAILS = 'no container starts with this runtime'

/** Name of the runtime -> path of the program. */
type Entries = readonly (readonly [name: string, path: string])[]

export function* inspectRuntimes(tree: Tree): Generator<Finding> {
  yield* inspect(tree, 'podman', PODMAN_CONFIG, () => podmanRuntimes(tree).map((path) => [RUNTIME_NAME, path]))
  yield* inspect(tree, 'containerd', CONTAINERD_CONFIG, containerdEntries)
  yield* inspect(tree, 'docker', DOCKER_CONFIG, dockerEntries)
  yield* inspect(tree, 'crio', CRIO_CONFIG, crioEntries)
}

function* inspect(tree: Tree, check: string, path: string, entriesOf: (text: string) => Entries): Generator<Finding> {
  let entries: Entries
  try {
    const text = tree.read(path)
    if (text === undefined) return
    entries = entriesOf(text)
  } catch (error) {
    yield {
      check,
      state: 'problem',
      found: `${tree.path(path)}: ${oneLine(error)}`,
      remedy: `mend the file: ${check} cannot read it either`,
    }
    return
  }
  for (const [name, program] of entries) {
    const doubt = doubtFile(program, FAILS) ?? (basename(program) === SHIM ? doubtAsked(program) : undefined)
    const found = `${tree.path(path)}: runtime ${name} -> ${program}`
    if (doubt !== undefined) yield { check, ...doubt, found: `${tree.path(path)}: runtime ${name}: ${doubt.found}` }
    else
      yield {
        check,
        state: 'ok',
        found: check === 'docker' ? `${found} (whether the engine has read it, docker info tells)` : found,
      }
  }
}

function containerdEntries(text: string): Entries {
  const table = parseToml(text)
  return [2, 3].flatMap((version) => {
    const handler = at(table, ...runtimesPath(version), RUNTIME_NAME)
    const program = isTable(handler) ? at(handler, 'options', 'BinaryName') : undefined
    if (handler === undefined) return []
    if (typeof program !== 'string')
      throw new Error(`the runtime ${RUNTIME_NAME} names no BinaryName, so it is plain runc`)
    return [[RUNTIME_NAME, program] as const]
  })
}

function dockerEntries(text: string): Entries {
  const config = text.trim() === '' ? {} : parseJson(text)
  const runtimes = isObject(config) && isObject(config.runtimes) ? config.runtimes : {}
  return Object.entries(runtimes).flatMap(([name, runtime]) =>
    isObject(runtime) &&
    typeof runtime.path === 'string' &&
    (name.startsWith(RUNTIME_NAME) || basename(runtime.path) === SHIM)
      ? [[name, runtime.path] as const]
      : [],
  )
}

function crioEntries(text: string): Entries {
  const path = at(parseToml(text), 'crio', 'runtime', 'runtimes', RUNTIME_NAME, 'runtime_path')
  return typeof path === 'string' ? [[RUNTIME_NAME, path]] : []
}
