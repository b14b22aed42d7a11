/** Runs the native helper (tracer/README.md). */

import { SandboxError } from '../errors.ts'
import { tracerPath } from './paths.ts'
import { runProgram } from './programs.ts'

/** Runs it to its end and returns its standard output. Throws TRACER_FAILED with its own one-line reason. */
export function runTracer(args: readonly string[]): string {
  const { code, stdout, stderr } = runProgram([tracerPath(), ...args])
  if (code === 0) return stdout
  throw new SandboxError('TRACER_FAILED', stderr.trim().replace(/^oci-sandbox-tracer: /, '') || ending(code))
}

/**
 * Runs it to its end with our standard error, on which it says itself what went wrong, and returns its exit code, which is to be ours.
 * Throws TRACER_FAILED where it cannot be started or a signal ended it.
 */
export function handOverToTracer(args: readonly string[]): number {
  const { code, stderr } = runProgram([tracerPath(), ...args], 'inherit')
  if (code === null) throw new SandboxError('TRACER_FAILED', stderr || ending(code))
  return code
}

function ending(code: number | null): string {
  return `the native helper ended ${code === null ? 'by a signal, or took too long' : `with exit code ${code}`}`
}
