/** Many starts through each door, several at a time: filtered, with their exit codes, and nothing left. */
import { readdirSync, readFileSync } from 'node:fs'
import tap, { test } from 'tap'
import { until } from '../lib/events.ts'
import { needs } from '../lib/needs.ts'
import { processesWith } from '../lib/processes.ts'
import { DOORS, programsOf } from './doors.ts'
import { learnWitness, ran, ranUnfiltered, witness } from './witness.ts'

/** Of each door. */
const STARTS = process.env.TEST_ALL ? 100 : 20
const AT_ONCE = 4

// Far more than it takes, with TEST_ALL too.
tap.setTimeout(1_800_000)

for (const [name, open] of Object.entries(DOORS)) {
  test(`${name}: ${STARTS} starts, ${AT_ONCE} at a time: exit codes, and nothing left`, {
    timeout: 300_000,
    ...needs(...programsOf(name)),
  }, async (t) => {
    const door = await open(t)
    const { sandbox } = door
    t.equal((await learnWitness(door, 3)).exitCode, 3)
    const wrong: unknown[] = []
    let next = 0
    const lane = async () => {
      while (next < STARTS) {
        const index = next++
        const container = `start${process.pid}x${index}`
        const { ended } = await door.begin(container, 'enforce', witness(container, 'exit', String(index)))
        const result = await ended
        await door.remove(container)
        const how = { ran: ran(sandbox, container), unfiltered: ranUnfiltered(sandbox, container) }
        if (result.exitCode !== index || !how.ran || how.unfiltered) wrong.push({ index, result, ...how })
      }
    }
    await Promise.all(Array.from({ length: AT_ONCE }, lane))
    t.same(wrong, [])
    await door.close?.()
    await until('nothing is kept of a container', () => sandbox.kept().length === 0)
    await until('no program is left', () => processesWith(`/tmp/start${process.pid}x`).length === 0)
    await until('no tracer is left', () => processesWith(sandbox.store).length === 0)
    const dead = zombies()
    await until('no zombie stays', () => zombies().every((zombie) => !dead.includes(zombie)))
  })
}

/** Ours and the containers' that nobody has waited for, told apart by pid and start. Those of other tests come and go as well. */
function zombies(): string[] {
  const stats = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(statOf)
  // proc(5): pid (comm) state ppid ...; 22: starttime.
  const known = /^(\d+) \((?:oci-sandbox.*|act|conmon|runc.*|crun|containerd-shim.*)\) Z (.*)$/s
  return stats.flatMap((stat) => {
    const [, pid, rest = ''] = known.exec(stat) ?? []
    return pid === undefined ? [] : [`${pid} ${rest.split(' ')[18]}`]
  })
}

function statOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8')
  } catch {
    return ''
  }
}
