/**
 * Programs that `make test` installs as root, and that are missing where only some test files are run on somebody's machine: there a test
 * says so and is skipped. With CI in the environment nothing may be missing: the test runs, and fails.
 */
import { accessSync, constants } from 'node:fs'
import { join } from 'node:path'

const PLACES = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin']

/** Options for a test. */
export function needs(...programs: readonly string[]): { skip?: string } {
  const missing = programs.filter((program) => !PLACES.some((place) => isProgram(join(place, program))))
  if (missing.length === 0 || process.env.CI) return {}
  return { skip: `not installed here: ${missing.join(', ')}; make test installs it` }
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
