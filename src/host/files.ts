/** Files of the store and the host's configuration: read only what nobody else can write, write so that no reader sees a half. */
import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { oneLine, SandboxError } from '../errors.ts'

const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK, O_WRONLY, O_CREAT, O_EXCL } = constants

/** Write permission of group and others (inode(7)). */
const WRITABLE_BY_OTHERS = 0o022

/** The errno name of a failed system call, or undefined. */
export function errnoOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined
}

/** Why the store must not be trusted with this file or directory, or undefined. */
function distrust(stats: Stats, kind: 'file' | 'directory'): string | undefined {
  if (stats.isSymbolicLink()) return 'is a symbolic link'
  if (!(kind === 'file' ? stats.isFile() : stats.isDirectory()))
    return `is not a ${kind === 'file' ? 'regular file' : 'directory'}`
  if (stats.uid !== 0 && stats.uid !== process.geteuid?.()) return `belongs to user ${stats.uid}`
  if ((stats.mode & WRITABLE_BY_OTHERS) !== 0) return 'is writable by its group or by others'
  return undefined
}

function unsafe(path: string, reason: string): SandboxError {
  return new SandboxError(
    'STORE_UNSAFE',
    `${path} ${reason}, so others may have changed it; it must be a plain file or directory of root's (chown root, chmod go-w)`,
  )
}

/**
 * The bytes of a regular file that only root or this user can write, or undefined where there is none. The last component is not
 * followed where it is a symbolic link. `look` gets the descriptor before anything is read. Throws STORE_UNSAFE, STORE_FAILED.
 */
export function readTrusted(path: string, look?: (descriptor: number) => void): Buffer | undefined {
  let descriptor: number
  try {
    descriptor = openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
  } catch (error) {
    const errno = errnoOf(error)
    if (errno === 'ENOENT') return undefined
    if (errno === 'ELOOP') throw unsafe(path, 'is a symbolic link')
    throw failed(`read ${path}`, error)
  }
  try {
    const reason = distrust(fstatSync(descriptor), 'file')
    if (reason !== undefined) throw unsafe(path, reason)
    look?.(descriptor)
    return readFileSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}

/** Whether there is such a directory; throws STORE_UNSAFE where others could put files into it. */
export function trustedDirectory(path: string): boolean {
  try {
    const reason = distrust(lstatSync(path), 'directory')
    if (reason !== undefined) throw unsafe(path, reason)
    return true
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false
    throw error instanceof SandboxError ? error : failed(`look at ${path}`, error)
  }
}

/** Makes a directory and those above it. */
export function makeDirectory(path: string, mode = 0o755): void {
  try {
    mkdirSync(path, { recursive: true, mode })
  } catch (error) {
    throw failed(`make the directory ${path}`, error)
  }
}

/**
 * Writes a file so that a reader sees the old one or the new one, never a part. With `durable`, also after a power failure
 * (file and directory are synced). With `like`, it gets the owner and the permissions of that file. Throws STORE_FAILED and leaves the old file.
 */
export function writeAtomic(
  path: string,
  data: string | Uint8Array,
  options: { mode?: number; durable?: boolean; like?: Stats } = {},
): void {
  const temporary = `${path}.${process.pid}.tmp`
  try {
    rmSync(temporary, { force: true }) // left by a process that had our pid and died
    const descriptor = openSync(
      temporary,
      O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW,
      options.mode ?? (options.like === undefined ? 0o644 : 0o600),
    )
    try {
      if (options.like !== undefined) {
        fchownSync(descriptor, options.like.uid, options.like.gid)
        fchmodSync(descriptor, options.like.mode & 0o7777)
      }
      writeFileSync(descriptor, data)
      if (options.durable) fsyncSync(descriptor)
    } finally {
      closeSync(descriptor)
    }
    renameSync(temporary, path)
    if (options.durable) syncDirectory(dirname(path))
  } catch (error) {
    rmSync(temporary, { force: true })
    throw failed(`write ${path}`, error)
  }
}

/**
 * Writes a file that a user has named, as a whole or not at all; a symbolic link is followed. What is there and no regular file (a device, a
 * pipe) is written to, and stays. Throws STORE_FAILED.
 */
export function writeOutput(path: string, data: string | Uint8Array): void {
  try {
    const there = statSync(path, { throwIfNoEntry: false })
    if (there !== undefined && !there.isFile()) writeFileSync(path, data)
    // A link that leads nowhere fails here: what it names is not ours to make.
    else writeAtomic(lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() ? realpathSync(path) : path, data)
  } catch (error) {
    throw error instanceof SandboxError ? error : failed(`write ${path}`, error)
  }
}

/** Puts the names in a directory on the disk. */
function syncDirectory(path: string): void {
  const descriptor = openSync(path, O_RDONLY)
  try {
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}

/** Leaves the `most` youngest files of a directory. */
export function removeOldest(directory: string, most: number): void {
  const aged = readdirSync(directory).map((name) => {
    const path = join(directory, name)
    return { path, time: lstatSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0 }
  })
  aged.sort((a, b) => b.time - a.time)
  for (const { path } of aged.slice(most)) rmSync(path, { force: true })
}

/** The same for several directories. Throws STORE_FAILED. */
export function syncDirectories(paths: readonly string[]): void {
  for (const path of paths) {
    try {
      syncDirectory(path)
    } catch (error) {
      throw failed(`write ${path}`, error)
    }
  }
}

export function failed(what: string, error: unknown): SandboxError {
  const hint = errnoOf(error) === 'ENOSPC' ? '; make room on that file system' : ''
  return new SandboxError('STORE_FAILED', `cannot ${what}: ${oneLine(error)}${hint}`, { cause: error })
}
