/** Runs the native helper (tracer/README.md). */

import { replaceProcess } from '#exec'
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
  const { code, stdout, stderr } = (globalThis.Bun === undefined ? runInNode : runInBun)([tracerPath(), ...args])
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

/** Nothing of the runtime's environment or current directory reaches the helper. */
const OPTIONS = { cwd: '/', env: {}, timeout: TIMEOUT, killSignal: 'SIGKILL' } as const

/** Bun's own, as importing node:child_process would add 0.7 ms to every start of a hook. */
function runInBun(command: string[]): Ended {
  const { exitCode, stdout, stderr } = globalThis.Bun.spawnSync(command, {
    ...OPTIONS,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  return { code: exitCode, stdout: stdout.toString(), stderr: stderr.toString() }
}

function runInNode([program, ...args]: string[]): Ended {
  const { spawnSync } = process.getBuiltinModule('node:child_process')
  const options = { ...OPTIONS, stdio: ['ignore' as const, 'pipe' as const, 'pipe' as const] }
  const { status, error, stdout, stderr } = spawnSync(program as string, args, { ...options, encoding: 'utf8' })
  return { code: status, stdout: stdout ?? '', stderr: stderr || (error?.message ?? '') }
}
