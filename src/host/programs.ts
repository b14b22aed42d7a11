/** Runs other programs to their end. */
import { oneLine } from '../errors.ts'

/** Longer than any of them takes: one that hangs must not hang the runtime. Milliseconds. */
const TIMEOUT = 10_000

export interface Ended {
  /** Null where a signal ended it. */
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Where its standard output and error go: into the result, or to ours. */
export type Output = 'pipe' | 'inherit'

/** Runs a program with nothing on its standard input. A program that cannot be started ends with `code` null and says why on stderr. */
export function runProgram(command: readonly string[], output: Output = 'pipe'): Ended {
  return globalThis.Bun === undefined ? runInNode(command, output) : runInBun(command, output)
}

/** Nothing of the runtime's environment or current directory reaches them. */
const OPTIONS = { cwd: '/', env: {}, timeout: TIMEOUT, killSignal: 'SIGKILL' } as const

/**
 * Starts a program in a session of its own, with none of our descriptors, and does not wait for it: it goes on when we have ended. Throws
 * where it cannot be started.
 */
export function startInBackground([program, ...args]: readonly [string, ...string[]]): void {
  const { cwd, env } = OPTIONS
  const options = { cwd, env, detached: true } as const
  if (globalThis.Bun === undefined) {
    const { spawn } = process.getBuiltinModule('node:child_process')
    const child = spawn(program, args, { ...options, stdio: 'ignore' })
    child.on('error', () => {}) // what it was to do is done by the next one that looks
    child.unref()
  } else {
    globalThis.Bun.spawn([program, ...args], { ...options, stdio: ['ignore', 'ignore', 'ignore'] }).unref()
  }
}

/** Bun's own, as importing node:child_process would add 0.7 ms to every start of a hook. */
function runInBun(command: readonly string[], output: Output): Ended {
  try {
    const options = { ...OPTIONS, stdio: ['ignore', output, output] as ['ignore', Output, Output] }
    const { exitCode, stdout, stderr } = globalThis.Bun.spawnSync([...command], options)
    return { code: exitCode, stdout: stdout?.toString() ?? '', stderr: stderr?.toString() ?? '' }
  } catch (error) {
    return { code: null, stdout: '', stderr: `cannot start ${command[0]}: ${oneLine(error)}` }
  }
}

function runInNode([program, ...args]: readonly string[], output: Output): Ended {
  const { spawnSync } = process.getBuiltinModule('node:child_process')
  const options = { ...OPTIONS, stdio: ['ignore', output, output] as ['ignore', Output, Output] }
  const { status, error, stdout, stderr } = spawnSync(program as string, args, { ...options, encoding: 'utf8' })
  return { code: status, stdout: stdout ?? '', stderr: stderr || (error?.message ?? '') }
}
