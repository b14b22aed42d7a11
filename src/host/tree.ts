/** The configuration files of a system, or of a copy of one below a directory (--root). */
import { chmodSync, lstatSync, readdirSync, readFileSync, realpathSync, rmdirSync, rmSync } from 'node:fs'
import { basename, dirname, join, normalize } from 'node:path'
import { oneLine, SandboxError } from '../errors.ts'
import { errnoOf, failed, makeDirectory, writeAtomic } from './files.ts'

/** The larger of any configuration file that people write. Bytes. */
const MAX_SIZE = 4 * 1024 * 1024

/** What becomes of a file; undefined: it is not there. */
export interface Change {
  /** As it is on the system itself, without --root. */
  readonly path: string
  readonly before: string | undefined
  readonly after: string | undefined
  /** What is in it comes from us alone: it needs no backup. */
  readonly ours: boolean
  /** The same without anything of ours, for the backup. */
  readonly without?: string | undefined
}

export function refused(message: string, options?: ErrorOptions): SandboxError {
  return new SandboxError('SETUP_REFUSED', `${message}; nothing was changed`, options)
}

export class Tree {
  readonly root: string

  constructor(root = '/') {
    this.root = root
  }

  /** Where a file of the system is. */
  path(path: string): string {
    return join(this.root, path)
  }

  /** The text of a file, or undefined where there is none. Throws SETUP_REFUSED where it is no text of a plain file. */
  read(path: string): string | undefined {
    const file = this.#target(path)
    if (file === undefined) return undefined
    try {
      const stats = lstatSync(file)
      if (!stats.isFile()) throw new Error('it is no regular file')
      if (stats.size > MAX_SIZE) throw new Error(`it is longer than ${MAX_SIZE} bytes`)
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(readFileSync(file))
    } catch (error) {
      throw refused(`cannot read ${this.path(path)}: ${oneLine(error)}`, { cause: error })
    }
  }

  /** The names in a directory, sorted; none where there is no such directory. */
  list(path: string): string[] {
    try {
      return readdirSync(this.path(path)).sort()
    } catch (error) {
      if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return []
      throw failed(`read the directory ${this.path(path)}`, error)
    }
  }

  /** Makes a change: the file is replaced as a whole, and keeps its permissions and its owner. */
  apply({ path, before, after, ours, without }: Change): void {
    if (before === after) return
    const file = this.#target(path) ?? this.path(path)
    if (after === undefined) this.#remove(file)
    else if (before === undefined) this.#create(file, after)
    else this.#replace(file, { before, after, ours, without })
  }

  /** Readable by all, whatever the umask: podman reads its configuration as any user. */
  #create(file: string, text: string): void {
    makeDirectory(dirname(file))
    writeAtomic(file, text, { durable: true })
    chmodSync(file, 0o644)
  }

  #replace(
    file: string,
    { before, after, ours, without }: { before: string; after: string } & Omit<Change, 'path'>,
  ): void {
    const backup = `${file}.oci-sandbox.bak`
    const like = lstatSync(file)
    // The backup is the file as it was before anything of ours came into it.
    if (!ours && before === without) writeAtomic(backup, before, { durable: true, like })
    writeAtomic(file, after, { durable: true, like })
    if (!ours && after === this.#textOf(backup)) rmSync(backup, { force: true })
  }

  /** A file of ours, and its directory where that is empty then and ours as well. */
  #remove(file: string): void {
    rmSync(file, { force: true })
    const directory = dirname(file)
    if (!basename(directory).includes('oci-sandbox') && !basename(dirname(directory)).includes('oci-sandbox')) return
    try {
      rmdirSync(directory)
    } catch {
      // Somebody else has something in it.
    }
  }

  #textOf(file: string): string | undefined {
    try {
      return readFileSync(file, 'utf8')
    } catch {
      return undefined
    }
  }

  /** The file itself, where the path is a symbolic link; it must not lead out of the root. */
  #target(path: string): string | undefined {
    let target: string
    try {
      target = realpathSync(this.path(path))
    } catch (error) {
      if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return undefined
      throw refused(`cannot look at ${this.path(path)}: ${oneLine(error)}`, { cause: error })
    }
    const root = realpathSync(this.root)
    const inside = root === '/' || target.startsWith(`${normalize(root)}/`)
    if (!inside) throw refused(`${this.path(path)} is a symbolic link that leads out of ${this.root}, to ${target}`)
    return target
  }
}
