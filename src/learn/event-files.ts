/**
 * The files of io.sandbox.detail=events: STORE/policies/NAME/events/RUN.N.ndjson as the tracer writes them, RUN.N.ndjson.gz once the run is over.
 */
import { readdirSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { makeDirectory, readTrusted, trustedDirectory, writeAtomic } from '../host/files.ts'
import { isPolicyName } from '../policy/name.ts'
import type { Store } from '../policy/store.ts'
import { pendingRuns } from './pending.ts'

/** What the compressed files of one policy may take together: the oldest run's go first. Bytes. */
const MOST_KEPT = 256 << 20

export interface EventFile {
  readonly run: string
  readonly number: number
  readonly path: string
  readonly packed: boolean
}

/** The tracer's options for the events of a run that begins, and what to do when it has read them. */
export async function eventOptions(
  store: Store,
  policy: string,
  run: string,
  container: string | undefined,
): Promise<{ options: string[]; begun: () => void }> {
  const { TRACER_SIGNATURES } = await import('../generated/tracer-signatures.ts')
  const directory = store.events(policy)
  makeDirectory(directory, 0o755)
  trustedDirectory(directory)
  const signatures = join(directory, `${run}.signatures`)
  writeAtomic(signatures, TRACER_SIGNATURES[process.arch] ?? '', { mode: 0o600 })
  return {
    options: [
      ...['--events', join(directory, run), '--signatures', signatures],
      ...(container === undefined ? [] : ['--container', container]),
    ],
    begun: () => rmSync(signatures, { force: true }),
  }
}

/** The files of a policy's runs, in the order of time. */
export function eventFiles(store: Store, policy: string): EventFile[] {
  const directory = store.events(policy)
  if (!trustedDirectory(directory)) return []
  const found = new Map<string, EventFile>()
  for (const file of readdirSync(directory)) {
    const [, run = '', number, packed] = file.match(/^(.+)\.(\d{1,9})\.ndjson(\.gz)?$/) ?? []
    if (number === undefined || !isPolicyName(run)) continue
    const key = `${run} ${number}`
    // Both are there while one is made from the other.
    if (packed === undefined && found.has(key)) continue
    found.set(key, { run, number: Number(number), path: join(directory, file), packed: packed !== undefined })
  }
  return [...found.values()].sort((a, b) => (a.run === b.run ? a.number - b.number : a.run < b.run ? -1 : 1))
}

/** The lines of a file. Throws STORE_UNSAFE, STORE_FAILED. */
export async function readEvents({ path, packed }: EventFile): Promise<Buffer> {
  const data = readTrusted(path) ?? Buffer.alloc(0)
  if (!packed) return data
  const { gunzipSync } = await import('node:zlib')
  return data.length === 0 ? data : gunzipSync(data) // it was removed meanwhile
}

/** Compresses the files of the runs that are over. */
export async function packEvents(store: Store, policy: string): Promise<void> {
  const unpacked = eventFiles(store, policy).filter(({ packed }) => !packed)
  // Read in this order: the tracer makes a run's record before its events, and the record goes when it is in the policy.
  const pending = new Set(pendingRuns(store, policy))
  const files = unpacked.filter(({ run }) => !pending.has(run))
  if (files.length === 0) return
  const { gzipSync } = await import('node:zlib')
  for (const { path } of files) {
    const data = readTrusted(path)
    if (data !== undefined) writeAtomic(`${path}.gz`, gzipSync(data), { mode: 0o600 })
    rmSync(path, { force: true })
  }
  dropOldest(store, policy)
}

function dropOldest(store: Store, policy: string): void {
  const files = eventFiles(store, policy)
    .filter(({ packed }) => packed)
    .map((file) => ({ ...file, size: statSync(file.path, { throwIfNoEntry: false })?.size ?? 0 }))
  let total = files.reduce((sum, { size }) => sum + size, 0)
  for (const { path, size } of files) {
    if (total <= MOST_KEPT) break
    rmSync(path, { force: true })
    total -= size
  }
}
