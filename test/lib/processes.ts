/** The processes of a test, found by what it alone has in their command lines. */
import { readdirSync, readFileSync } from 'node:fs'

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

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
