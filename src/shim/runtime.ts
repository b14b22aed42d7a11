/** The real runtime; tracer/repeat/shim.c finds it in the same way. */
import { accessSync, constants, realpathSync, statSync } from 'node:fs'
import { basename, join } from 'node:path'
import { SandboxError } from '../errors.ts'
import { HELPER, SHIM } from '../host/paths.ts'

/** Not PATH: podman and containerd start runtimes without one. */
export const DIRECTORIES = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin']

/** The runtime's absolute path. Throws RUNTIME_FAILED. */
export function findRuntime(runtime: string): string {
  const candidates = runtime.startsWith('/') ? [runtime] : DIRECTORIES.map((directory) => join(directory, runtime))
  const found = candidates.find(isProgram)
  if (found === undefined) {
    throw failed(`there is no program ${runtime.startsWith('/') ? runtime : `${runtime} in ${DIRECTORIES.join(', ')}`}`)
  }
  if ([SHIM, HELPER].includes(basename(realpathSync(found)))) throw failed(`${found} is oci-sandbox-runtime itself`)
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
