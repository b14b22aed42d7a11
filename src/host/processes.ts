import { readFileSync } from 'node:fs'

/**
 * Whether the process is there that had this pid and start time (clock ticks after boot: field 22 of /proc/PID/stat, proc(5)). The
 * start time tells it from a later process with the same pid.
 */
export function isAlive(pid: number, startTime: number): boolean {
  let stat: string
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
  } catch {
    return false
  }
  // The command (field 2) is in parentheses and may hold any character: count from the last closing one, after which field 3 stands.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return Number(fields[22 - 3]) === startTime && fields[0] !== 'Z'
}
