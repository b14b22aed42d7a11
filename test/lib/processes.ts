/** The processes of a test, found by what it alone has in their command lines. */
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { until } from './events.ts'

export interface Process {
  readonly pid: number
  /** Arguments, each with a NUL behind it. */
  readonly command: string
}

export function allProcesses(): Process[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => ({ pid: Number(name), command: read(`/proc/${name}/cmdline`) }))
}

/** Those whose command line, or that of one above them, has `mark` in it. */
export function processesWith(mark: string): Process[] {
  return allProcesses().filter(({ command }) => command.includes(mark))
}

/** The process whose command line has all these words. */
export function processWithAll(...words: string[]): number | undefined {
  return allProcesses().find(({ command }) => words.every((word) => command.includes(word)))?.pid
}

/** A field of /proc/PID/status; undefined when the process is gone. */
export function statusOf(pid: number, field: string): string | undefined {
  return new RegExp(`^${field}:\\s*(.*)$`, 'm').exec(read(`/proc/${pid}/status`))?.[1]
}

/** Ends a process; one that has ended already is no error. */
export function kill9(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It was faster.
  }
}

/** Waits until what learn hooks with this configuration have left behind so far is done: their runs are in their policies. */
export async function settled(config: string): Promise<void> {
  const settling = () => processesWith(config).filter(({ command }) => command.includes('hook\0settle\0'))
  const now = new Set(settling().map(({ pid }) => pid))
  await until('the runs are merged', () => !settling().some(({ pid }) => now.has(pid)))
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

/** Whether somebody waits for the flock(2) that another one has on a file (proc_locks(5): a line with "->"). */
export function isWaitedFor(file: string): boolean {
  const { ino } = statSync(file)
  return readFileSync('/proc/locks', 'utf8')
    .split('\n')
    .some((line) => line.includes('-> FLOCK ') && line.includes(`:${ino} `))
}
