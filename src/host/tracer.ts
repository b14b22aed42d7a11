/** Runs the native helper (tracer/README.md). */

import { oneLine, SandboxError } from '../errors.ts'
import { tracerPath } from './paths.ts'

/** Longer than any attach takes; a helper that hangs must not hang the runtime. Milliseconds. */
const TIMEOUT = 10_000

interface Ended {
  /** Null where a signal ended it. */
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs it to its end and returns its standard output. Throws TRACER_FAILED with its own one-line reason. */
export function runTracer(args: readonly string[]): string {
  const { code, stdout, stderr } = run(args, 'pipe')
  if (code === 0) return stdout
  throw new SandboxError('TRACER_FAILED', stderr.trim().replace(/^oci-sandbox-tracer: /, '') || ending(code))
}

/**
 * Runs it to its end with our standard error, on which it says itself what went wrong, and returns its exit code, which is to be ours.
 * Throws TRACER_FAILED where it cannot be started or a signal ended it.
 */
export function handOverToTracer(args: readonly string[]): number {
  const { code, stderr } = run(args, 'inherit')
  if (code === null) throw new SandboxError('TRACER_FAILED', stderr || ending(code))
  return code
}

function ending(code: number | null): string {
  return `the native helper ended ${code === null ? 'by a signal, or took too long' : `with exit code ${code}`}`
}

type Output = 'pipe' | 'inherit'

function run(args: readonly string[], output: Output): Ended {
  const command = [tracerPath(), ...args]
  return globalThis.Bun === undefined ? runInNode(command, output) : runInBun(command, output)
}

/** Nothing of the runtime's environment or current directory reaches the helper. */
const OPTIONS = { cwd: '/', env: {}, timeout: TIMEOUT, killSignal: 'SIGKILL' } as const

/** Bun's own, as importing node:child_process would add 0.7 ms to every start of a hook. */
function runInBun(command: string[], output: Output): Ended {
  try {
    const options = { ...OPTIONS, stdio: ['ignore', output, output] as ['ignore', Output, Output] }
    const { exitCode, stdout, stderr } = globalThis.Bun.spawnSync(command, options)
    return { code: exitCode, stdout: stdout?.toString() ?? '', stderr: stderr?.toString() ?? '' }
  } catch (error) {
    return { code: null, stdout: '', stderr: `cannot start ${command[0]}: ${oneLine(error)}` }
  }
}

function runInNode([program, ...args]: string[], output: Output): Ended {
  const { spawnSync } = process.getBuiltinModule('node:child_process')
  const options = { ...OPTIONS, stdio: ['ignore', output, output] as ['ignore', Output, Output] }
  const { status, error, stdout, stderr } = spawnSync(program as string, args, { ...options, encoding: 'utf8' })
  return { code: status, stdout: stdout ?? '', stderr: stderr || (error?.message ?? '') }
}
