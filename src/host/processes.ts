import { readFileSync } from 'node:fs'

/** The start time of a process that is alive: clock ticks after boot, field 22 of /proc/PID/stat (proc(5)). Undefined where there is none. */
export function startTimeOf(pid: number): number | undefined {
  let stat: string
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
  } catch {
    return undefined
  }
  // The command (field 2) is in parentheses and may hold any character: count from the last closing one, after which field 3 stands.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return fields[0] === 'Z' ? undefined : Number(fields[22 - 3])
}

/** Whether the process is there that had this pid and start time, which tells it from a later process with the same pid. */
export function isAlive(pid: number, startTime: number): boolean {
  return startTimeOf(pid) === startTime
}
