/** Daemons of container engines, each in a directory of its own, and ended with all that they left. */
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync, readdirSync, readFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { unmountBelow } from './mounts.ts'
import type { Teardown } from './place.ts'

/** Longer than any start here takes (Docker's is 2 s on a loaded machine). ms. */
const PATIENCE = 60_000

export interface DaemonOptions {
  readonly command: string
  readonly args: readonly string[]
  /** Everything of the daemon is below this directory: its processes and mounts are known by it. */
  readonly directory: string
  /** Resolves when the daemon answers, rejects until then. */
  readonly ask: () => Promise<unknown>
}

/** Starts a daemon and returns when it answers. At the end it, its processes and its mounts are gone. */
export async function startDaemon(t: Teardown, { command, args, directory, ask }: DaemonOptions): Promise<void> {
  const log = `${directory}/${command}.log`
  const output = openSync(log, 'a')
  const child = spawn(command, args, { stdio: ['ignore', output, output] })
  closeSync(output)
  let ended = false
  const end = new Promise<void>((resolve) => {
    child.on('close', () => {
      ended = true
      resolve()
    })
  })
  t.teardown(async () => {
    child.kill('SIGTERM')
    await orKill(child, end)
    await endProcesses(directory)
    await unmountBelow(directory)
  })
  const deadline = Date.now() + PATIENCE
  for (;;) {
    try {
      await ask()
      return
    } catch (error) {
      if (ended || Date.now() > deadline) {
        const tail = readFileSync(log, 'utf8').split('\n').slice(-15).join('\n')
        throw new Error(`${command} ${ended ? 'ended' : 'does not answer'}:\n${tail}`, { cause: error })
      }
      await pause(50)
    }
  }
}

async function orKill(child: ChildProcess, end: Promise<void>): Promise<void> {
  const late = new AbortController()
  const patience = pause(20_000, 'late', { signal: late.signal }).catch(() => undefined)
  if ((await Promise.race([end, patience])) === 'late') child.kill('SIGKILL')
  late.abort()
  await end
}

/** Shims outlive their daemon; each names the daemon's socket or state directory on its command line. */
async function endProcesses(directory: string): Promise<void> {
  for (let round = 0; round < 100; round++) {
    const pids = readdirSync('/proc').filter(
      (name) => /^\d+$/.test(name) && commandLine(name).includes(`${directory}/`),
    )
    if (pids.length === 0) return
    for (const pid of pids) {
      try {
        process.kill(Number(pid), 'SIGKILL')
      } catch {
        // It ended by itself.
      }
    }
    await pause(50)
  }
  throw new Error(`processes of ${directory} do not end`)
}

function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')
  } catch {
    return ''
  }
}
