/** Runs other programs to their end. */

/** Longer than any of them takes: one that hangs must not hang the runtime. Milliseconds. */
const TIMEOUT = 10_000

export interface Ended {
  /** Null where a signal ended it. */
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs a program with nothing on its standard input. A program that cannot be started ends with `code` null and says why on stderr. */
export function runProgram(command: readonly string[]): Ended {
  return globalThis.Bun === undefined ? runInNode(command) : runInBun(command)
}

/** Nothing of the runtime's environment or current directory reaches them. */
const OPTIONS = { cwd: '/', env: {}, timeout: TIMEOUT, killSignal: 'SIGKILL' } as const

/** Bun's own, as importing node:child_process would add 0.7 ms to every start of a hook. */
function runInBun(command: readonly string[]): Ended {
  const { exitCode, stdout, stderr } = globalThis.Bun.spawnSync([...command], {
    ...OPTIONS,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  return { code: exitCode, stdout: stdout.toString(), stderr: stderr.toString() }
}

function runInNode([program, ...args]: readonly string[]): Ended {
  const { spawnSync } = process.getBuiltinModule('node:child_process')
  const options = { ...OPTIONS, stdio: ['ignore' as const, 'pipe' as const, 'pipe' as const] }
  const { status, error, stdout, stderr } = spawnSync(program as string, args, { ...options, encoding: 'utf8' })
  return { code: status, stdout: stdout ?? '', stderr: stderr || (error?.message ?? '') }
}
