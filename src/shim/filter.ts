/** The filter that a container's program was started with, kept for those that join it later. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { SandboxError } from '../errors.ts'
import type { CachedFilter } from '../filter/cache.ts'
import { readTrusted, writeAtomic } from '../host/files.ts'

const NAME = /^filter-(\d+)-of-(\d+)\.bpf$/

/** Returns the paths of its programs, in the order in which they are installed. */
export function keepFilter(directory: string, filter: CachedFilter): string[] {
  return filter.map(({ program }, index) => {
    const path = join(directory, `filter-${index + 1}-of-${filter.length}.bpf`)
    writeAtomic(path, program, { mode: 0o600 })
    return path
  })
}

/** Throws FILTER_FAILED where a program is missing: what joins must not be held by less. */
export function keptFilter(directory: string, id: string): string[] {
  const names = readdirSync(directory).map((name) => NAME.exec(name))
  const count = Number(names.find((match) => match !== null)?.[2] ?? 1)
  return Array.from({ length: count }, (_, index) => {
    const path = join(directory, `filter-${index + 1}-of-${count}.bpf`)
    if (readTrusted(path) !== undefined) return path
    throw new SandboxError(
      'FILTER_FAILED',
      `the filter of container ${id} is missing (${path}); create the container anew`,
    )
  })
}
