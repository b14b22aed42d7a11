/** Runs the native helper (tracer/README.md). */

import { replaceProcess } from '#exec'
import { oneLine, SandboxError } from '../errors.ts'
import { tracerPath } from './paths.ts'
import { runProgram } from './programs.ts'

/** Runs it to its end and returns its standard output. Throws TRACER_FAILED with its own one-line reason. */
export function runTracer(args: readonly string[]): string {
  const { code, stdout, stderr } = runProgram([tracerPath(), ...args])
  if (code === 0) return stdout
  const reason =
    stderr.trim().replace(/^oci-sandbox-tracer: /, '') ||
    `it ended ${code === null ? 'by a signal, or took too long' : `with exit code ${code}`}`
  throw new SandboxError('TRACER_FAILED', reason)
}

/** Goes on as the helper; where the process cannot be replaced, runs it to its end. Throws TRACER_FAILED. */
export function becomeTracer(args: readonly string[]): void {
  const program = tracerPath()
  try {
    replaceProcess(program, args)
  } catch (error) {
    throw new SandboxError('TRACER_FAILED', `cannot start ${program}: ${oneLine(error)}`, { cause: error })
  }
  runTracer(args)
}
