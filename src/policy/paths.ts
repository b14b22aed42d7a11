/** What runs did to files, which endpoints they used and which programs they executed: a set that can be merged. Pure. */
import type { ExecutedProgram, LearnedEndpoint, LearnedFile, LearnedPaths, Run } from '../generated/policy.ts'
import { type Covers, collapse, type Earlier, type TreeEntry, type TreeLimits } from './name-tree.ts'

/** In the order in which they are listed. */
export const ACCESSES = ['read', 'write', 'create', 'change', 'remove', 'execute', 'locate'] as const
export const OUTCOMES = ['ok', 'failed', 'started'] as const

export type Access = (typeof ACCESSES)[number]
export type Outcome = (typeof OUTCOMES)[number]

/** Those of tracer/learn/facts.c. */
const FILES: TreeLimits = { names: 128, below: [4096, 2048, 1024, 512, 256] }
const ENDPOINTS: TreeLimits = { names: 32, below: [Number.POSITIVE_INFINITY, 128, 64] }
const PROGRAMS: TreeLimits = { names: 32, below: [512, 256, 128, 64] }

/** The bits of calls on a file that failed stand this much higher. */
const FAILED = 8

/** Of two runs the one that started first; one that is not named yields. */
export function earlierOf(runs: readonly Pick<Run, 'id' | 'started'>[]): Earlier {
  const started = new Map(runs.map((run) => [run.id, `${run.started} ${run.id}`]))
  const key = (id: string) => started.get(id) ?? ` ${id}`
  return (a, b) => {
    if (a === undefined || b === undefined) return a ?? b
    return key(a) <= key(b) ? a : b
  }
}

/** What either has seen. */
export function mergePaths(
  a: LearnedPaths | undefined,
  b: LearnedPaths | undefined,
  earlier: Earlier,
): LearnedPaths | undefined {
  if (a === undefined && b === undefined) return undefined
  const all = <T>(list: (paths: LearnedPaths) => T[]): T[] =>
    [a, b].flatMap((one) => (one === undefined ? [] : list(one)))
  return {
    files: collapse(all(({ files }) => files).map(fileEntry), FILES, earlier).map(fileOf),
    endpoints: collapse(all(({ endpoints }) => endpoints).flatMap(endpointEntry), ENDPOINTS, earlier).map(endpointOf),
    programs: collapse(all(({ programs }) => programs).map(programEntry), PROGRAMS, earlier).map(programOf),
  }
}

/** In its one form. Absent where there is nothing at all. */
export function canonicalPaths(paths: LearnedPaths | undefined, earlier: Earlier): LearnedPaths | undefined {
  const merged = mergePaths(paths, undefined, earlier)
  const empty = merged === undefined || Object.values(merged).every((list) => list.length === 0)
  return empty ? undefined : merged
}

/** What the schema cannot say. */
export function* pathProblems(paths: LearnedPaths | undefined): Generator<string> {
  if (paths === undefined) return
  for (const [index, { ok, failed }] of paths.files.entries())
    if (ok === undefined && failed === undefined) yield `/paths/files/${index}: expected ok or failed`
  for (const [index, endpoint] of paths.endpoints.entries())
    if (endpointParts(endpoint) === undefined)
      yield `/paths/endpoints/${index}: its keys do not go with the family ${endpoint.family}`
}

function bitsOf<T extends string>(names: readonly T[], listed: readonly T[] | undefined): number {
  return (listed ?? []).reduce((bits, name) => bits | (1 << names.indexOf(name)), 0)
}

function namesOf<T extends string>(names: readonly T[], bits: number): T[] {
  return names.filter((_, index) => (bits >> index) & 1)
}

function pathParts(path: string): string[] {
  return path === '/' ? [] : path.slice(1).split('/')
}

function joined(parts: readonly string[]): string {
  return `/${parts.join('/')}`
}

type Marks = { covers?: Covers; since?: string }

function marks({ covers, since }: Marks): Marks {
  return { ...(covers === undefined ? {} : { covers }), ...(since === undefined ? {} : { since }) }
}

function fileEntry({ path, ok, failed, ...rest }: LearnedFile): TreeEntry {
  return { parts: pathParts(path), bits: bitsOf(ACCESSES, ok) | (bitsOf(ACCESSES, failed) << FAILED), ...marks(rest) }
}

function fileOf({ parts, bits, covers, since }: TreeEntry): LearnedFile {
  const ok = namesOf(ACCESSES, bits)
  const failed = namesOf(ACCESSES, bits >> FAILED)
  return {
    path: joined(parts),
    ...(covers === undefined ? {} : { covers }),
    ...(ok.length === 0 ? {} : { ok }),
    ...(failed.length === 0 ? {} : { failed }),
    ...(since === undefined ? {} : { since }),
  }
}

function programEntry({ path, ...rest }: ExecutedProgram): TreeEntry {
  return { parts: pathParts(path), bits: 1, ...marks(rest) }
}

function programOf({ parts, ...rest }: TreeEntry): ExecutedProgram {
  return { path: joined(parts), ...marks(rest) }
}

type Address = Omit<LearnedEndpoint, 'outcomes' | 'since'>

/** The endpoint's name in a tree: kind and family, and what follows. Undefined: its keys do not go together. */
export function endpointParts({ kind, family, path, name, address, port, covers }: Address): string[] | undefined {
  const first = [`${kind} ${/^\d/.test(family) ? 'other' : family}`]
  const only = (...allowed: unknown[]) =>
    [path, name, address, port].every((value) => value === undefined || allowed.includes(value))
  switch (family) {
    case 'unix':
      return !only(path) || path === undefined ? undefined : [...first, ...pathParts(path)]
    case 'abstract':
      if (!only(name) || (name === undefined) === (covers === undefined)) return undefined
      return name === undefined ? first : [...first, name]
    case 'inet':
    case 'inet6': {
      if (!only(address, port)) return undefined
      const given = [address, port].filter((value) => value !== undefined).length
      if (given !== (covers === undefined ? 2 : covers === 'names' ? 1 : 0)) return undefined
      if (covers === 'names' && address === undefined) return undefined
      return [...first, ...(address === undefined ? [] : [address]), ...(port === undefined ? [] : [String(port)])]
    }
    default: // a number, or many
      if (!only() || (family === 'other') === (covers === undefined)) return undefined
      return family === 'other' ? first : [...first, family]
  }
}

/** One that is none is left out: decoding has refused it before. */
function endpointEntry({ outcomes, since, ...address }: LearnedEndpoint): TreeEntry[] {
  const parts = endpointParts(address)
  if (parts === undefined) return []
  return [
    { parts, bits: bitsOf(OUTCOMES, outcomes), ...marks({ ...address, ...(since === undefined ? {} : { since }) }) },
  ]
}

function endpointOf({ parts: [first = '', ...rest], bits, covers, since }: TreeEntry): LearnedEndpoint {
  const [kind, family] = first.split(' ') as [LearnedEndpoint['kind'], string]
  return {
    kind,
    family: family === 'other' ? (rest[0] ?? family) : family,
    ...addressOf(family, rest),
    ...(covers === undefined ? {} : { covers }),
    outcomes: namesOf(OUTCOMES, bits),
    ...(since === undefined ? {} : { since }),
  }
}

function addressOf(family: string, rest: readonly string[]): Partial<Address> {
  const [first, second] = rest
  if (family === 'unix') return { path: joined(rest) }
  if (first === undefined || family === 'other') return {}
  if (family === 'abstract') return { name: first }
  return { address: first, ...(second === undefined ? {} : { port: Number(second) }) }
}
