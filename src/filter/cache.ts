/**
 * Compiled filters, found by what they were compiled from. STORE/cache/KEY is a symbolic link whose text is the SHA-256 of each
 * program, in the order in which they are installed (SHA256+SHA256). A program stands in STORE/cache/SHA256.bpf: what is read is checked
 * against its name, so a torn or changed file is never used; and a program alone, of several, never is.
 */
import { readdirSync, readlinkSync, renameSync, rmSync, symlinkSync } from 'node:fs'
import { basename, join } from 'node:path'
import { COMPILER } from '../generated/compiler.ts'
import {
  errnoOf,
  failed,
  makeDirectory,
  readTrusted,
  removeOldest,
  trustedDirectory,
  writeAtomic,
} from '../host/files.ts'
import { sha256 } from '../host/hash.ts'

/** How the files of programs end. */
const PROGRAM = '.bpf'

/** One program of a filter, and the file that holds it. */
export interface CachedProgram {
  readonly path: string
  readonly program: Uint8Array
}

/** In the order in which they are to be installed; at least one. */
export type CachedFilter = readonly CachedProgram[]

/** SHA-256 over everything that a filter depends on: the compiler's digest, the options, and the policy's text. */
export function cacheKey(policyText: Uint8Array, options: readonly string[]): string {
  return sha256([COMPILER, ...options, ''].join('\0'), policyText)
}

/** When the cache has more files than this, the older half goes: each change of a policy leaves two or more behind. */
const MAX_FILES = 1000

export class FilterCache {
  readonly directory: string

  constructor(store: string) {
    this.directory = join(store, 'cache')
  }

  /** Undefined where there is none, or where what is there is not what was written. Throws STORE_UNSAFE. */
  get(key: string): CachedFilter | undefined {
    let text: string
    try {
      text = readlinkSync(join(this.directory, key))
    } catch (error) {
      if (['ENOENT', 'EINVAL', 'ENOTDIR'].includes(errnoOf(error) ?? '')) return undefined
      throw failed(`read the cache ${this.directory}`, error)
    }
    trustedDirectory(this.directory)
    if (!/^[0-9a-f]{64}(\+[0-9a-f]{64})*$/.test(text)) return undefined
    const programs: CachedProgram[] = []
    for (const sum of text.split('+')) {
      const path = this.#path(sum)
      const program = readTrusted(path)
      if (program === undefined || sha256(program) !== sum) return undefined
      programs.push({ path, program })
    }
    return programs
  }

  /** As these programs will be found once they are there (put). Throws STORE_UNSAFE. */
  place(programs: readonly Uint8Array[]): CachedFilter {
    trustedDirectory(this.directory)
    return programs.map((program) => ({ path: this.#path(sha256(program)), program }))
  }

  /** The link comes last: it never leads to a file that is not there yet. Throws STORE_UNSAFE, STORE_FAILED. */
  put(key: string, filter: CachedFilter): void {
    makeDirectory(this.directory, 0o755)
    trustedDirectory(this.directory)
    for (const { path, program } of filter) writeAtomic(path, program)
    const temporary = join(this.directory, `${key}.${process.pid}.tmp`)
    try {
      rmSync(temporary, { force: true }) // left by a process that had our pid and died
      symlinkSync(filter.map(({ path }) => basename(path, PROGRAM)).join('+'), temporary)
      renameSync(temporary, join(this.directory, key))
    } catch (error) {
      throw failed(`write the cache ${this.directory}`, error)
    }
    if (readdirSync(this.directory).length > MAX_FILES) removeOldest(this.directory, MAX_FILES / 2)
  }

  #path(sum: string): string {
    return join(this.directory, sum + PROGRAM)
  }
}
