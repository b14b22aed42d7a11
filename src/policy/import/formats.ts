/** The formats that can be imported: one table, with how each is read. */
import { parseObject } from '../../json.ts'
import { readAudit } from './audit.ts'
import type { Collector } from './collector.ts'
import { readProfile } from './profile.ts'
import type { Conditions, Refuse } from './profile-entries.ts'
import { readSpo } from './spo.ts'
import { readStrace, type StraceStart } from './strace.ts'
import { readSystemd, type SystemdOptions } from './systemd.ts'
import { readTracee } from './tracee.ts'

export const IMPORT_FORMATS = [
  'audit',
  'docker',
  'kubernetes',
  'oci',
  'oci-seccomp-bpf-hook',
  'policy',
  'spo',
  'strace',
  'systemd',
  'tracee',
] as const

export type ImportFormat = (typeof IMPORT_FORMATS)[number]

/** Formats that say what a program did, not what a set allows. */
export const OBSERVATIONS: ReadonlySet<ImportFormat> = new Set(['audit', 'strace', 'tracee'])

export interface ReadOptions extends Conditions {
  readonly comm?: string | undefined
  readonly groups: SystemdOptions['groups']
  /** YAML text -> value; throws what `refuse` throws. */
  readonly yaml: (text: string, refuse: Refuse) => ReturnType<typeof parseObject>
}

/** Reads files of one format into the collector. `refuse` gets the index of the file and what is wrong with it. */
export function readFiles(
  format: Exclude<ImportFormat, 'policy'>,
  texts: readonly string[],
  into: Collector,
  options: ReadOptions,
  refuse: (file: number, problem: string) => never,
): void {
  const starts: StraceStart[] = []
  for (const [index, text] of texts.entries()) {
    const refuseFile: Refuse = (problem) => refuse(index, problem)
    const start = readFile(format, text, into, options, refuseFile)
    if (start !== undefined) starts.push(start)
  }
  leaveOutStart(starts, into)
}

function readFile(
  format: Exclude<ImportFormat, 'policy'>,
  text: string,
  into: Collector,
  options: ReadOptions,
  refuse: Refuse,
): StraceStart | undefined {
  switch (format) {
    case 'strace':
      return readStrace(text, into, options)
    case 'audit':
      readAudit(text, into, options)
      return undefined
    case 'tracee':
      readTracee(text, into, options, refuse)
      return undefined
    case 'systemd':
      readSystemd(text, into, options, refuse)
      return undefined
    case 'spo':
      readSpo(options.yaml(text, refuse), into, options, refuse)
      return undefined
    case 'docker':
    case 'kubernetes':
    case 'oci':
    case 'oci-seccomp-bpf-hook':
      readProfile(parseObject(text, refuse), into, options, refuse)
      return undefined
  }
}

/**
 * strace sees the execve that starts the program, which is no call of the program. The files of one -ff trace hold it once, whichever of
 * them that is.
 */
function leaveOutStart([start]: readonly StraceStart[], into: Collector): void {
  if (start === undefined) return
  into.take(start.architecture, 'execve', 1)
  into.note('the execve that starts the program, which is not its own')
}
