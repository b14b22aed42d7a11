/** Where the parts of an installation are, found from the program itself: never from the environment or the current directory. */
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { SandboxError } from '../errors.ts'

/** The native helper; and its other name, under which it is the runtime that engines start. */
export const HELPER = 'oci-sandbox-tracer'
export const SHIM = 'oci-sandbox-runtime'

/** Bun mounts the sources of a standalone binary here. */
export const STANDALONE = import.meta.dirname.startsWith('/$bunfs/')

/** dist/ of a checkout, or the bin directory of an installation. */
const home = STANDALONE ? dirname(process.execPath) : join(import.meta.dirname, '../../dist')

/** The command line that starts this program again: the binary, or the script in its engine. */
export function selfCommand(): [program: string, ...args: string[]] {
  return STANDALONE ? [process.execPath] : [process.execPath, join(import.meta.dirname, '../cli/main.ts')]
}

/** The program and the shim, as runtimes are told where they are. */
export function programPath(): string {
  return join(home, 'oci-sandbox')
}

export function shimPath(): string {
  return join(home, SHIM)
}

/** The native helper: beside the program, or in the libexec directory beside its bin directory. */
export function tracerPath(): string {
  const candidates = [join(home, HELPER), join(home, '../libexec/oci-sandbox', HELPER)]
  const found = candidates.find((path) => existsSync(path))
  if (found === undefined) {
    throw new SandboxError(
      'TRACER_FAILED',
      `the native helper is missing: looked for ${candidates.join(' and ')}; run make build or make install`,
    )
  }
  return found
}

/** What is kept about running containers, until the next boot. */
export const RUN_DIRECTORY =
  process.geteuid?.() === 0 ? '/run/oci-sandbox' : `/run/user/${process.geteuid?.()}/oci-sandbox`
