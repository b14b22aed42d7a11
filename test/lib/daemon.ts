/** Daemons for tests: with directories of their own, ended by their process id and awaited, and nothing of theirs left. */
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { execa } from 'execa'
import { until } from './events.ts'
import { kill9, processesWith } from './processes.ts'
import type { Sandbox } from './sandbox.ts'

/** How long a daemon may take to come up, and to end. Milliseconds. */
const UP = 20_000
const DOWN = 15_000

/**
 * Starts a daemon and waits until `ready` holds. When the test ends it is ended, then whatever has the sandbox's directory in its command
 * line (containerd's shims), then the mounts below that directory.
 */
export async function startDaemon(
  t: { teardown(handler: () => unknown): void },
  sandbox: Sandbox,
  command: readonly [program: string, ...args: string[]],
  ready: () => Promise<boolean>,
): Promise<void> {
  const [program, ...args] = command
  const log = join(sandbox.directory, `${program}.log`)
  const output = openSync(log, 'a')
  const daemon = spawn(program, args, { stdio: ['ignore', output, output], cwd: '/' })
  closeSync(output)
  const complaint = () => `${readFileSync(log, 'utf8').trimEnd().split('\n').slice(-5).join('\n')}`
  t.teardown(() => stop(daemon, sandbox))
  const deadline = Date.now() + UP
  while (!(await ready())) {
    if (daemon.exitCode !== null) throw new Error(`${program} ended with exit code ${daemon.exitCode}: ${complaint()}`)
    if (Date.now() > deadline) throw new Error(`${program} was not ready within ${UP} ms: ${complaint()}`)
    await delay(50)
  }
}

async function stop(daemon: ChildProcess, { directory }: Sandbox): Promise<void> {
  daemon.kill('SIGTERM')
  const deadline = Date.now() + DOWN
  while (daemon.exitCode === null && daemon.signalCode === null) {
    if (Date.now() > deadline) daemon.kill('SIGKILL')
    await delay(20)
  }
  for (const { pid } of processesWith(directory)) kill9(pid)
  await until('no process of the daemon is left', () => processesWith(directory).length === 0)
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '')
    .filter((path) => path.startsWith(`${directory}/`))
  for (const path of mounts.reverse()) await execa('umount', ['--lazy', path], { reject: false })
}
