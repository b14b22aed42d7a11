/** What `doctor --calibrate` measured of an installed runtime: STORE/runtimes/DIGEST.json. Without it the shipped table holds. */
import { readdirSync, realpathSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { makeDirectory, readTrusted, trustedDirectory, writeAtomic } from '../host/files.ts'
import { isObject } from '../json.ts'
import { RUNTIME_CALLS } from './runtime-calls.ts'

export interface Calibration {
  /** The first line of `RUNTIME --version`. */
  readonly version: string
  /** Of the binary, with symbolic links resolved. */
  readonly path: string
  /** SHA-256 of the binary, in hexadecimal. */
  readonly digest: string
  /** By which a start tells that the binary is the same: a digest would take too long. */
  readonly file: FileKey
  readonly kernel: string
  readonly date: string
  /** How many containers were started. */
  readonly runs: number
  /** What the runtime calls under linux.seccomp, by the container's noNewPrivileges. */
  readonly calls: { readonly noNewPrivileges: readonly string[]; readonly newPrivileges: readonly string[] }
}

/** Bytes; nanoseconds since 1970; inode. Decimal. */
export interface FileKey {
  readonly size: string
  readonly mtime: string
  readonly inode: string
}

export function fileKey(path: string): FileKey {
  const { size, mtimeNs, ino } = statSync(path, { bigint: true })
  return { size: String(size), mtime: String(mtimeNs), inode: String(ino) }
}

function sameFile(a: FileKey, b: FileKey): boolean {
  return a.size === b.size && a.mtime === b.mtime && a.inode === b.inode
}

/** What currentCalibration() looks at in a store: the directory, which may not be there, and the files in it. */
export function calibrationFiles(store: string): string[] {
  const directory = directoryOf(store)
  return [directory, ...namesIn(directory).map((name) => join(directory, name))]
}

function namesIn(directory: string): string[] {
  if (!trustedDirectory(directory)) return []
  return readdirSync(directory).filter((name) => /^[0-9a-f]{64}\.json$/.test(name))
}

function directoryOf(store: string): string {
  return join(store, 'runtimes')
}

/** Throws STORE_FAILED. */
export function writeCalibration(store: string, calibration: Calibration): string {
  makeDirectory(directoryOf(store))
  const path = join(directoryOf(store), `${calibration.digest}.json`)
  writeAtomic(path, `${JSON.stringify(calibration, null, 2)}\n`, { durable: true })
  return path
}

/** Those of a runtime, the newest last; `runtime`: its path. What cannot be read is none. Throws STORE_UNSAFE where others could have written. */
export function calibrationsOf(store: string, runtime: string): Calibration[] {
  const directory = directoryOf(store)
  if (!trustedDirectory(store)) return []
  const path = realpathSync(runtime)
  return namesIn(directory)
    .map((name) => decode(readTrusted(join(directory, name))))
    .filter((calibration) => calibration?.path === path)
    .sort((a, b) => ((a?.date ?? '') < (b?.date ?? '') ? -1 : 1)) as Calibration[]
}

function decode(text: Buffer | undefined): Calibration | undefined {
  try {
    const value: unknown = JSON.parse(text?.toString('utf8') ?? '')
    if (!isObject(value) || !isObject(value.calls) || !isObject(value.file)) return undefined
    const { noNewPrivileges, newPrivileges } = value.calls
    return isNames(noNewPrivileges) && isNames(newPrivileges) ? (value as unknown as Calibration) : undefined
  } catch {
    return undefined
  }
}

function isNames(value: unknown): boolean {
  return Array.isArray(value) && value.every((name) => typeof name === 'string' && /^[a-z0-9_]+$/.test(name))
}

/** The one of the binary that is there now, as far as its size, time and inode tell. */
export function currentCalibration(store: string, runtime: string): Calibration | undefined {
  const key = fileKey(runtime)
  return calibrationsOf(store, runtime).findLast(({ file }) => sameFile(file, key))
}

export interface OwnCalls {
  readonly calls: readonly string[]
  /** Where they are from, for people. */
  readonly from: string
}

/** Of all runtimes that were tried out for this table. */
export const SHIPPED: OwnCalls = { calls: RUNTIME_CALLS, from: 'the shipped table' }

/**
 * What the runtime calls itself. `runtimes`: its path; several where it may be any of them, which counts as calibrated where all are; none
 * where it is not known. `noNewPrivileges`: the container's; undefined: both. Throws STORE_UNSAFE.
 */
export function ownCallsOf(store: string, runtimes: readonly string[], noNewPrivileges?: boolean): OwnCalls {
  const calibrations: Calibration[] = []
  for (const runtime of runtimes) {
    const calibration = currentCalibration(store, runtime)
    if (calibration === undefined) return { ...SHIPPED, from: `${SHIPPED.from} (${runtime} is not calibrated)` }
    calibrations.push(calibration)
  }
  if (calibrations.length === 0) return { ...SHIPPED, from: `${SHIPPED.from} (the runtime is not known here)` }
  const lists = calibrations.flatMap(({ calls }) => [
    ...(noNewPrivileges === false ? [] : calls.noNewPrivileges),
    ...(noNewPrivileges === true ? [] : calls.newPrivileges),
  ])
  const named = calibrations.map(({ path, version, date }) => `the calibration of ${path} (${version}) of ${date}`)
  return { calls: [...new Set(lists)].sort(), from: named.join(' and ') }
}
