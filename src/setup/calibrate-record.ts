/** The record of `oci-sandbox-tracer calibrate` (tracer/README.md) -> names of calls. Pure. */
import { SandboxError } from '../errors.ts'
import type { SyscallTable } from '../policy/names.ts'

interface Line {
  readonly event: string
  readonly arch: string
  readonly nr: number
  readonly reason: string
  readonly lost: number
}

/** Throws RUNTIME_FAILED where the record is not that of a program that was started under a filter. */
export function readCalls(record: string, nameOf: SyscallTable['nameOf'], runtime: string): string[] {
  const lines: Line[] = record
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line))
  const fail = (problem: string) => new SandboxError('RUNTIME_FAILED', `cannot calibrate ${runtime}: ${problem}`)
  const last = lines.at(-1)
  if (last?.event !== 'finish') throw fail('the tracer ended before the program started')
  if (last.reason === 'no-filter') throw fail('it started the program without loading linux.seccomp')
  if (last.reason !== 'exec') throw fail(`the program was not started (${last.reason})`)
  if (last.lost > 0) throw fail(`${last.lost} calls were lost; try again`)
  const seen = lines.filter(({ event }) => event === 'seen')
  return seen.map(({ arch, nr }) => {
    const name = nameOf(arch, nr)
    if (name === undefined) throw fail(`it makes call ${nr} of ${arch}, which has no name here`)
    return name
  })
}
