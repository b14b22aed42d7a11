/**
 * A disk that loses power: operations -> what may be on it afterwards. Only what was synced is sure: a file's bytes after fsync of the
 * file, the names in a directory after fsync of the directory (fsync(2)). Of the rest each part may have got there or not.
 */
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { basename, dirname, join, relative } from 'node:path'
import type { Random } from '../random.ts'
import type { Operation } from './recorder.ts'

/** What is written as a whole or not at all. Bytes. */
const PAGE = 4096

/**
 * kill: nothing is lost, as when the programs were killed; ordered: names change in the order of the calls, as with a journalling file
 * system; any: the names of each directory, and the bytes of each file, are on the disk in any order.
 */
export type Loss = 'kill' | 'ordered' | 'any'
export const LOSSES: readonly Loss[] = ['kill', 'ordered', 'any']

interface Change {
  /** Its place among all operations. */
  readonly at: number
  /** Undefined: no longer there. */
  readonly names: readonly (readonly [name: string, node: Node | undefined])[]
}

interface Directory {
  readonly kind: 'directory'
  readonly mode: number
  readonly entries: Map<string, Node>
  sure: Map<string, Node>
  unsure: Change[]
}

interface File {
  readonly kind: 'file'
  readonly mode: number
  bytes: Buffer
  sure: Buffer
}

interface Link {
  readonly kind: 'link'
  readonly target: string
}

type Node = Directory | File | Link

/** The tree after a power loss: paths below the root. */
export type State = ReadonlyMap<
  string,
  Directory | Link | { readonly kind: 'file'; readonly mode: number; readonly bytes: Buffer }
>

const directory = (mode: number): Directory => ({
  kind: 'directory',
  mode,
  entries: new Map(),
  sure: new Map(),
  unsure: [],
})

/** What may be there if power fails after the first `count` operations. `root` itself is there, with nothing in it before. */
export function crash(
  root: string,
  operations: readonly Operation[],
  count: number,
  loss: Loss,
  random: Random,
): State {
  const top = directory(0o755)
  for (const [at, operation] of operations.slice(0, count).entries()) apply(top, root, operation, at)
  const until = loss === 'ordered' ? random.below(count + 1) : undefined
  const state = new Map<string, Directory | Link | { kind: 'file'; mode: number; bytes: Buffer }>()
  const visit = (path: string, { entries, sure, unsure }: Directory) => {
    for (const [name, node] of loss === 'kill' ? entries : survivors(sure, unsure, until, random)) {
      const below = join(path, name)
      if (node.kind === 'file') {
        const bytes = loss === 'kill' ? node.bytes : remains(node, random)
        state.set(below, { kind: 'file', mode: node.mode, bytes })
      } else {
        state.set(below, node)
        if (node.kind === 'directory') visit(below, node)
      }
    }
  }
  visit('', top)
  return state
}

function apply(top: Directory, root: string, operation: Operation, at: number): void {
  const parentOf = (path: string) => nodeAt(top, root, dirname(path), 'directory')
  const change = (path: string, node: Node | undefined) => {
    const parent = parentOf(path)
    if (node === undefined) parent.entries.delete(basename(path))
    else parent.entries.set(basename(path), node)
    return parent
  }
  const note = (path: string, node: Node | undefined) =>
    change(path, node).unsure.push({ at, names: [[basename(path), node]] })
  switch (operation.kind) {
    case 'mkdir':
      return void note(operation.path, directory(operation.mode ?? 0o755))
    case 'create':
      return void note(operation.path, file(operation.mode ?? 0o600))
    case 'symlink':
      return void note(operation.path, { kind: 'link', target: operation.target })
    case 'remove':
      return void note(operation.path, undefined)
    case 'rename': {
      const { path, to } = operation
      const moved = parentOf(path).entries.get(basename(path))
      if (moved === undefined) throw new Error(`${path} is renamed, but is not there`)
      if (dirname(path) !== dirname(to)) {
        note(path, undefined)
        return void note(to, moved)
      }
      change(path, undefined)
      const names = [[basename(path), undefined] as const, [basename(to), moved] as const]
      return void change(to, moved).unsure.push({ at, names })
    }
    case 'write': {
      const node = nodeAt(top, root, operation.path, 'file')
      node.bytes = Buffer.concat([node.bytes, operation.data])
      return
    }
    case 'truncate': {
      const node = nodeAt(top, root, operation.path, 'file')
      node.bytes = Buffer.concat([node.bytes, Buffer.alloc(Math.max(0, operation.size - node.bytes.length))])
      node.bytes = node.bytes.subarray(0, operation.size)
      return
    }
    case 'sync': {
      const node = nodeAt(top, root, operation.path)
      if (node.kind === 'file') node.sure = node.bytes
      else if (node.kind === 'directory') {
        node.sure = new Map(node.entries)
        node.unsure = []
      }
    }
  }
}

const file = (mode: number): File => ({ kind: 'file', mode, bytes: Buffer.alloc(0), sure: Buffer.alloc(0) })

type Kinds = { directory: Directory; file: File; link: Link }

function nodeAt<K extends keyof Kinds = keyof Kinds>(top: Directory, root: string, path: string, kind?: K): Kinds[K] {
  let node: Node = top
  for (const name of relative(root, path).split('/').filter(Boolean)) {
    const next: Node | undefined = node.kind === 'directory' ? node.entries.get(name) : undefined
    if (next === undefined) throw new Error(`${path} is used, but was never made`)
    node = next
  }
  if (kind !== undefined && node.kind !== kind) throw new Error(`${path} is a ${node.kind}, not a ${kind}`)
  return node as Kinds[K]
}

/** The names that a directory has afterwards. `until`: later changes are lost, earlier ones not; undefined: each may be lost. */
function survivors(
  sure: Map<string, Node>,
  unsure: Change[],
  until: number | undefined,
  random: Random,
): Map<string, Node> {
  const names = new Map(sure)
  const kept = unsure.filter(({ at }) => (until === undefined ? random.chance(0.6) : at < until))
  for (const [name, node] of kept.flatMap((change) => change.names)) {
    if (node === undefined) names.delete(name)
    else names.set(name, node)
  }
  return names
}

/** Of what was not synced: all, nothing, the beginning, or some pages with zeros between them. */
function remains({ sure, bytes }: File, random: Random): Buffer {
  const changed = bytes.length !== sure.length || !bytes.equals(sure)
  if (!changed) return bytes
  switch (random.below(5)) {
    case 0:
      return sure
    case 1:
      return bytes
    case 2:
      return bytes.subarray(0, sure.length + random.below(Math.max(1, bytes.length - sure.length)))
    case 3: // the size, and nothing else
      return Buffer.concat([sure, Buffer.alloc(Math.max(0, bytes.length - sure.length))]).subarray(0, bytes.length)
    default: {
      const torn = Buffer.from(bytes)
      const shared = Math.min(sure.length, bytes.length)
      for (let start = 0; start < torn.length; start += PAGE) {
        if (random.chance(0.5)) continue
        const end = Math.min(start + PAGE, torn.length)
        torn.fill(0, start, end)
        if (start < shared) sure.copy(torn, start, start, Math.min(end, shared))
      }
      return torn
    }
  }
}

/** Puts a state where programs can look at it. */
export function materialize(state: State, into: string): void {
  mkdirSync(into, { recursive: true })
  for (const [path, node] of state) {
    const place = join(into, path)
    if (node.kind === 'directory') mkdirSync(place, { mode: node.mode })
    else if (node.kind === 'link') symlinkSync(node.target, place)
    else writeFileSync(place, node.bytes, { mode: node.mode })
  }
}
