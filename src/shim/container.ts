/**
 * What the shim keeps about a container that it prepared, from create to the container's end:
 *
 *   RUN_DIRECTORY/containers/KEY/record.json   what was decided
 *   RUN_DIRECTORY/containers/KEY/filter.bpf    the filter of an enforced one, for those who join it later
 *   RUN_DIRECTORY/containers/KEY/bundle/       what the runtime gets in place of the bundle, which stays as it is
 */
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { basename, join } from 'node:path'
import type { Method } from '../enforce/method.ts'
import { SandboxError } from '../errors.ts'
import { errnoOf, failed, makeDirectory, readTrusted, writeAtomic } from '../host/files.ts'
import { sha256 } from '../host/hash.ts'
import { RUN_DIRECTORY, tracerPath } from '../host/paths.ts'
import { isAlive, startTimeOf } from '../host/processes.ts'
import { isObject } from '../json.ts'
import { type ConfigJson, encodeConfig } from '../oci/config.ts'
import type { Hook } from './prepare.ts'

const DIRECTORY = join(RUN_DIRECTORY, 'containers')

/** Which container: ids are unique below one state directory of a runtime. */
export interface Place {
  readonly id: string
  /** The absolute path of the runtime's --root; undefined: its default. */
  readonly root: string | undefined
  readonly runtime: string
}

export interface Record {
  readonly version: 1
  readonly id: string
  readonly root?: string
  readonly runtime: string
  /** The bundle as the caller named it. */
  readonly bundle: string
  /** The process that is, or becomes, the runtime that creates the container. */
  readonly creator: { readonly pid: number; readonly start: number }
  readonly kind: 'learn' | 'enforce'
  readonly policy: string
  /** How an enforced container's policy is in force. */
  readonly method: Method
}

export function directoryOf({ id, root }: Place): string {
  return join(DIRECTORY, sha256(`${root ?? ''}\0${id}`).slice(0, KEY_SIZE))
}

const KEY_SIZE = 32

/** A text about a container's directory as one about any container's: the helper puts another one's in (tracer/repeat/container.h). */
export function forAnyContainer(text: string, directory: string): string {
  return text.replaceAll(basename(directory), '0'.repeat(KEY_SIZE))
}

/** Undefined where the shim has not prepared it. Throws STORE_UNSAFE, STORE_FAILED, INTERNAL: what is there must be readable. */
export function readRecord(place: Place): Record | undefined {
  const text = readTrusted(join(directoryOf(place), 'record.json'))
  return text === undefined ? undefined : (JSON.parse(text.toString('utf8')) as Record)
}

/**
 * Makes the directory of a container that is about to be created. Throws CONTAINER_EXISTS where there is one already, which must not lose
 * what is known of it.
 */
export function claim(place: Place, record: Omit<Record, 'version' | 'id' | 'root' | 'runtime'>): string {
  const directory = directoryOf(place)
  makeDirectory(DIRECTORY, 0o700)
  if (readdirSync(DIRECTORY).length >= MANY) collect()
  else if (existsSync(directory)) removeStale(directory)
  try {
    mkdirSync(directory, { mode: 0o700 })
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw failed(`make the directory ${directory}`, error)
    throw new SandboxError(
      'CONTAINER_EXISTS',
      `container ${place.id} exists already (${directory}); delete it first, or choose another id`,
    )
  }
  const { id, root, runtime } = place
  const text = JSON.stringify({ version: 1, id, ...(root === undefined ? {} : { root }), runtime, ...record })
  writeAtomic(join(directory, 'record.json'), `${text}\n`, { mode: 0o600 })
  return directory
}

/** Writes the bundle that the runtime gets, with links to all that is beside config.json in the caller's: hooks may look for it. */
export function writeShadow(directory: string, bundle: string, config: ConfigJson): string {
  const shadow = join(directory, 'bundle')
  mkdirSync(shadow, { mode: 0o700 })
  for (const name of readdirSync(bundle)) {
    if (name !== 'config.json') symlinkSync(join(bundle, name), join(shadow, name))
  }
  writeAtomic(join(shadow, 'config.json'), encodeConfig(config), { mode: 0o600 })
  return shadow
}

/**
 * The hook that removes the directory when the container has ended: the last one, as it is the current directory of all. The helper, which
 * has done the work before a program of ours or a shell would have started. Where it did not run, collect() is what removes the directory.
 */
export function removal(directory: string): Hook {
  return { path: tracerPath(), args: ['oci-sandbox-tracer', 'forget', directory] }
}

export function forget(directory: string): void {
  rmSync(directory, { recursive: true, force: true })
}

/** From so many containers on, each new one that the helper does not prepare (it asks once a minute) looks for directories that nobody has removed. */
const MANY = 30
/** When that was done last: the time of this file. */
const COLLECTED = join(RUN_DIRECTORY, 'collected')

/** Removes what containers have left that never started, or whose end nobody told us. Never throws. */
function collect(): void {
  try {
    for (const name of readdirSync(DIRECTORY)) removeStale(join(DIRECTORY, name))
    writeAtomic(COLLECTED, '', { mode: 0o600 })
  } catch {
    // The next one will try again.
  }
}

/** Younger ones may not have their record yet. Milliseconds. */
const YOUNG = 60_000

function removeStale(directory: string): void {
  let record: unknown
  try {
    record = JSON.parse(readFileSync(join(directory, 'record.json'), 'utf8'))
  } catch {
    const made = lstatSync(directory, { throwIfNoEntry: false })?.mtimeMs
    if (made !== undefined && Date.now() - made > YOUNG) forget(directory)
    return
  }
  if (isObject(record) && isGone(record as unknown as Record)) forget(directory)
}

/** Where runtimes keep their containers by default, as root. */
const DEFAULT_ROOTS: Readonly<{ [runtime: string]: string }> = {
  runc: '/run/runc',
  crun: '/run/crun',
  youki: '/run/youki',
}

/** Neither is its creator alive nor does its runtime know it. */
function isGone({ id, root, runtime, creator }: Record): boolean {
  const states = root ?? DEFAULT_ROOTS[basename(runtime)]
  if (states === undefined || isAlive(creator.pid, creator.start)) return false
  return !existsSync(join(states, id))
}

/** The process with this pid, told apart from a later one with the same. */
export function processOf(pid: number): Record['creator'] {
  const start = startTimeOf(pid)
  if (start === undefined) throw new SandboxError('USAGE', `shim --pid ${pid}: there is no such process`)
  return { pid, start }
}
