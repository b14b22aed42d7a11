/** Starts a program of the command line that waits, before it becomes that program, until it is let go. */
import { spawn } from 'node:child_process'
import { chmodSync, copyFileSync, existsSync, mkdtempSync, realpathSync, rmSync, statSync } from 'node:fs'
import { constants } from 'node:os'
import { delimiter, join } from 'node:path'
import { oneLine, SandboxError } from '../errors.ts'

/** Ends without the program where whoever holds the pipe is gone. */
const SCRIPT = 'read -r go <&3 || exit 125; exec 3<&-; exec "$@"'

/** Signals that ask a program to end: ours is to end when it does, so they go on to it. */
const FORWARDED = ['SIGHUP', 'SIGTERM'] as const
/** The terminal sends these to both. */
const SHARED = ['SIGINT', 'SIGQUIT'] as const

export interface Held {
  readonly pid: number
  /** Lets it become the program, and waits for its end. Returns the exit code, as a shell has it: 128 and more for a signal. */
  run(): Promise<number>
  /** Ends it without the program. */
  cancel(): void
}

/**
 * The tracer knows a program's start by a change of the executed file: so what waits is a copy of /bin/sh, which no program can be. The copy
 * is below `directory`. Throws INPUT_UNREADABLE.
 */
export async function startHeld(program: string, args: readonly string[], directory: string): Promise<Held> {
  const own = mkdtempSync(join(directory, 'launch-'))
  const shell = join(own, 'sh')
  copyFileSync(realpathSync('/bin/sh'), shell)
  chmodSync(shell, 0o700)
  const child = spawn(shell, ['-c', SCRIPT, 'sh', program, ...args], {
    stdio: ['inherit', 'inherit', 'inherit', 'pipe'],
  })
  const cleanUp = () => rmSync(own, { recursive: true, force: true })
  const ended = new Promise<number>((resolve) => {
    child.on('exit', (code, signal) => resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal])))
  })
  try {
    await new Promise<void>((resolve, reject) => {
      child.on('spawn', resolve)
      child.on('error', reject)
    })
  } catch (error) {
    cleanUp()
    throw new SandboxError('INPUT_UNREADABLE', `cannot start ${program}: ${oneLine(error)}`, { cause: error })
  }
  const pipe = child.stdio[3] as NodeJS.WritableStream
  // A program that was killed before it was let go: its end says so.
  pipe.on('error', () => {})
  return {
    pid: child.pid as number,
    cancel() {
      pipe.end()
      cleanUp()
    },
    async run() {
      const forward = (signal: NodeJS.Signals) => child.kill(signal)
      const ignore = () => {}
      for (const signal of FORWARDED) process.on(signal, forward)
      for (const signal of SHARED) process.on(signal, ignore)
      // What is executed stays as long as it is needed, also without a name; nothing is left should we be killed.
      cleanUp()
      try {
        pipe.end('\n')
        return await ended
      } finally {
        for (const signal of FORWARDED) process.off(signal, forward)
        for (const signal of SHARED) process.off(signal, ignore)
      }
    },
  }
}

/** A program's path, as a shell finds it. Throws INPUT_UNREADABLE. */
export function locateProgram(name: string): string {
  const candidates = name.includes('/')
    ? [name]
    : (process.env.PATH ?? '').split(delimiter).map((directory) => join(directory || '.', name))
  const found = candidates.find(
    (path) => existsSync(path) && statSync(path).isFile() && (statSync(path).mode & 0o111) !== 0,
  )
  if (found !== undefined) return found
  throw new SandboxError(
    'INPUT_UNREADABLE',
    `cannot run ${name}: ${name.includes('/') ? 'it is no program' : 'there is no such program in PATH'}`,
  )
}
