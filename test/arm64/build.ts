/** What is built for arm64 on this machine, once for all test files. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { execa } from 'execa'

const repository = join(import.meta.dirname, '../..')
const build = join(repository, 'build/arm64')

export const tracer = join(build, 'oci-sandbox-tracer')
/** Of `make dist-arm64`. */
export const wholeProgram = join(repository, 'dist/arm64/oci-sandbox')
export const guest = join(build, 'guest')
/** What test/arm64/fetch has put there. */
export const kernelOf = (suite: string): string => join(build, suite, 'vmlinuz')
export const busyboxOf = (suite: string): string => join(build, suite, 'busybox')

/** `make` in a folder of the repository. Test files run side by side: one builds, the others wait for it. */
async function make(folder: string, ...variables: string[]): Promise<void> {
  mkdirSync(build, { recursive: true })
  await execa('flock', [join(build, 'lock'), 'make', '-s', '-C', join(repository, folder), ...variables])
}

export const buildTracer = (): Promise<void> => make('tracer', 'ARCH=aarch64', `OUT=${tracer}`)
export const buildGuest = (): Promise<void> => make('test/arm64/guest', `OUT=${guest}`)
