/** The real runtime, and the note about it that lets dist/oci-sandbox-runtime find it without starting anything. */
import { accessSync, constants, mkdirSync, readFileSync, realpathSync, statSync } from 'node:fs'
import { basename, join } from 'node:path'
import { SandboxError } from '../errors.ts'
import { writeAtomic } from '../host/files.ts'
import { RUN_DIRECTORY } from '../host/paths.ts'

/** Not PATH: podman and containerd start runtimes without one. */
const DIRECTORIES = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin']

export const SHIM = 'oci-sandbox-runtime'

/** The runtime's absolute path. Throws RUNTIME_FAILED. */
export function findRuntime(runtime: string): string {
  const candidates = runtime.startsWith('/') ? [runtime] : DIRECTORIES.map((directory) => join(directory, runtime))
  const found = candidates.find(isProgram)
  if (found === undefined) {
    throw failed(`there is no program ${runtime.startsWith('/') ? runtime : `${runtime} in ${DIRECTORIES.join(', ')}`}`)
  }
  if (basename(realpathSync(found)) === SHIM) throw failed(`${found} is oci-sandbox-runtime itself`)
  return found
}

/** Those that podman may have chosen, of which its stage precreate is told nothing: of the host configuration, and the usual ones. */
export function possibleRuntimes(configured: string): string[] {
  const found = [configured, 'crun', 'runc'].flatMap((name) => {
    try {
      return [findRuntime(name)]
    } catch {
      return []
    }
  })
  return [...new Set(found)]
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return statSync(path).isFile()
  } catch {
    return false
  }
}

function failed(problem: string): SandboxError {
  return new SandboxError(
    'RUNTIME_FAILED',
    `the real runtime cannot be started: ${problem}; set runtime in the host configuration`,
  )
}

/** A configuration whose note the script can find by its path alone. */
const PLAIN = /^\/(?!\/)(?:(?!\/\.{1,2}(?:\/|$)|\/\/)[^\n])+$/

/**
 * RUN_DIRECTORY/runtimes/CONFIG/note: the runtime's path, then the configuration's text. The script reads both, and believes the note as
 * long as the text is that of the configuration. Never throws: without a note the script asks us.
 */
export function noteRuntime(config: string, runtime: string): void {
  if (!PLAIN.test(config)) return
  try {
    const directory = join(RUN_DIRECTORY, 'runtimes', config)
    const note = `${runtime}\n${textOf(config)}`
    if (readFileSyncOr(join(directory, 'note')) === note) return
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    writeAtomic(join(directory, 'note'), note, { mode: 0o600 })
  } catch {
    // As said.
  }
}

function textOf(config: string): string {
  return readFileSyncOr(config) ?? ''
}

function readFileSyncOr(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}
