/** Imports for tests: texts of the corpus, or of a test, through the readers. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseYamlObject } from '../../src/cli/yaml.ts'
import { SandboxError } from '../../src/errors.ts'
import { type ArchitectureName, architecturesOf } from '../../src/policy/document.ts'
import { Collector } from '../../src/policy/import/collector.ts'
import { type ImportFormat, OBSERVATIONS, type ReadOptions, readFiles } from '../../src/policy/import/formats.ts'
import { policyOfImport } from '../../src/policy/import/policy.ts'
import { readGroups } from '../../src/policy/import/systemd.ts'
import { SYSCALL_NAMES } from '../../src/policy/syscall-names.ts'

export const NAMES = SYSCALL_NAMES

export function corpus(path: string): string {
  return readFileSync(join(import.meta.dirname, '../corpus', path), 'utf8')
}

export const READ_OPTIONS: ReadOptions = {
  architecture: 'x86_64',
  capabilities: new Set<string>(),
  kernel: '6.1.0-amd64',
  comm: undefined,
  groups: () => readGroups(corpus('systemd/groups')),
  yaml: parseYamlObject,
}

/** Reads texts into a collector. Throws IMPORT_INVALID as the command does. */
export function collect(
  format: Exclude<ImportFormat, 'policy'>,
  texts: string | readonly string[],
  options: Partial<ReadOptions> = {},
): Collector {
  const collector = new Collector(NAMES, { observed: OBSERVATIONS.has(format) })
  const list = typeof texts === 'string' ? [texts] : texts
  readFiles(format, list, collector, { ...READ_OPTIONS, ...options }, (index, problem) => {
    throw new SandboxError('IMPORT_INVALID', `file ${index}: ${problem}`)
  })
  return collector
}

export const PROVENANCE = { format: 'oci', digest: `sha256:${'0'.repeat(64)}`, date: '2026-11-21T00:00:00.000Z' }

/** What is allowed: the names of each architecture, those with argument rules with their rules. */
export function allowed(collector: Collector): Partial<Record<ArchitectureName, (string | object)[]>> {
  const policy = policyOfImport('test', collector, PROVENANCE)
  return Object.fromEntries(
    architecturesOf(policy).map(([architecture, { syscalls }]) => [
      architecture,
      syscalls.map(({ name, number, rules }) =>
        rules === undefined ? (name ?? `#${number}`) : { [name ?? '']: rules },
      ),
    ]),
  )
}
