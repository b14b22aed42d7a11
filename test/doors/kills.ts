/** Containers whose parts are killed with SIGKILL at random moments: of what runs nevertheless, is anything unfiltered? */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import tap, { test } from 'tap'
import { until } from '../lib/events.ts'
import { needs } from '../lib/needs.ts'
import { allProcesses, kill9, type Process, processesWith, statusOf } from '../lib/processes.ts'
import { Random } from '../lib/random.ts'
import { DOORS, type Door, type Mode, programsOf } from './doors.ts'
import { learnWitness, ran, ranUnfiltered, witness } from './witness.ts'

/** How many containers at a time. */
const LANES = 4
/** How long a container whose parts were killed may take to begin its program, or to end. ms. */
const PATIENCE = 1000

export interface Killing {
  /** What was killed, and how often. */
  readonly killed: Readonly<Record<string, number>>
  readonly ran: number
  /** The containers whose program ran without its filter. */
  readonly unfiltered: readonly string[]
}

/** The parts of a container, by what is on their command lines; the program is none of them. */
const KINDS = {
  client: /^(podman|docker|ctr)\0/,
  monitor: /^\S*(conmon|containerd-shim-runc-v2)\0/,
  shim: /oci-sandbox-runtime\0|\0shim\0/,
  hook: /^\S*oci-sandbox(-tracer)?\0hook\0/,
  tracer: /^oci-sandbox-tracer\0/,
  init: /^\S*(runc|crun)\0init\0/,
  runtime: /^\S*(runc|crun)\0/,
} as const
export type Kind = keyof typeof KINDS

function kindOf({ command }: Process): Kind | undefined {
  return (Object.keys(KINDS) as Kind[]).find((kind) => KINDS[kind].test(command))
}

/** Those that have one of the words on their command lines, what they have started, and who traces them. Daemons are no part of it. */
function partsOf(words: readonly string[]): Process[] {
  const all = new Map(allProcesses().map((process) => [process.pid, process]))
  const found = new Map<number, Process>()
  const add = (pid: number) => {
    const process = all.get(pid)
    if (process === undefined || found.has(pid) || /^\S*(containerd|dockerd)\0/.test(process.command)) return
    found.set(pid, process)
    for (const child of childrenOf(pid)) add(child)
    add(Number(statusOf(pid, 'TracerPid') ?? 0))
  }
  for (const { pid, command } of all.values()) if (words.some((word) => command.includes(word))) add(pid)
  return [...found.values()]
}

/** Those of all its threads: proc(5), /proc/PID/task/TID/children. */
function childrenOf(pid: number): number[] {
  try {
    const tasks = `/proc/${pid}/task`
    const lists = readdirSync(tasks).map((task) => readFileSync(join(tasks, task, 'children'), 'utf8'))
    return lists.join(' ').split(' ').filter(Boolean).map(Number)
  } catch {
    return []
  }
}

/** A container's name, which is on the command lines of its parts, and on no other's. */
const nameOf = (round: number) => `mark${process.pid}x${String(round).padStart(4, '0')}`

let names = 0

/**
 * `rounds` containers that ask to be enforced, of each of which one part is killed. `kinds`: what this door has of them. Throws where the
 * program would not be seen to run, or to be unfiltered.
 */
export async function killAtRandom(door: Door, rounds: number, kinds: readonly Kind[]): Promise<Killing> {
  const { sandbox } = door
  const random = new Random(rounds)
  const killed: Record<string, number> = {}
  const unfiltered: string[] = []
  let survivors = 0
  await learnWitness(door, 0)
  const control = nameOf(names++)
  await oneRound(door, control, 'plain', () => until('a plain container runs', () => ran(sandbox, control)))
  if (!ranUnfiltered(sandbox, control)) throw new Error('a program without a filter is not found')
  // How long a start takes when nothing is killed.
  let usual = 0
  const quiet = nameOf(names++)
  await oneRound(door, quiet, 'enforce', async () => {
    const began = Date.now()
    await until('an enforced container runs', () => ran(sandbox, quiet))
    usual = Date.now() - began
  })
  if (ranUnfiltered(sandbox, quiet)) unfiltered.push(quiet)
  let next = 0
  const lane = async () => {
    while (next++ < rounds) {
      const name = nameOf(names++)
      // A part that is waited for, or whoever is there at some moment.
      const kind = random.chance(0.7) ? random.pick(kinds) : undefined
      const moment = random.below(kind === undefined ? usual : random.pick([2, 30]))
      const choice = random.below(1000)
      await oneRound(door, name, 'enforce', async (parts, isOver) => {
        const victims = () => parts().filter((part) => kindOf(part) && (!kind || kindOf(part) === kind))
        if (kind !== undefined) while (!isOver() && victims().length === 0) await delay(4)
        await delay(moment)
        const all = victims()
        const victim = all[choice % all.length]
        if (victim === undefined) return
        kill9(victim.pid)
        const what = kindOf(victim) as Kind
        killed[what] = (killed[what] ?? 0) + 1
      })
      if (ran(sandbox, name)) survivors++
      if (ranUnfiltered(sandbox, name)) unfiltered.push(name)
    }
  }
  await Promise.all(Array.from({ length: LANES }, lane))
  await door.close?.()
  await until('no tracer is left', () => tracersOf(door).length === 0)
  return { killed, ran: survivors, unfiltered }
}

function tracersOf({ sandbox }: Door): Process[] {
  return processesWith(sandbox.store).filter(({ command }) => KINDS.tracer.test(command))
}

/** From a container's start, through `disturb`, to where nothing is left of it. `isOver`: its program runs, or never will. */
async function oneRound(
  door: Door,
  name: string,
  mode: Mode,
  disturb: (parts: () => Process[], isOver: () => boolean) => Promise<void>,
): Promise<void> {
  const { ended, words } = await door.begin(name, mode, witness(name, 'sleep', '1000'))
  let clientEnded = false
  const end = ended.then(() => {
    clientEnded = true
  })
  const parts = () => partsOf(words())
  const isOver = () => ran(door.sandbox, name) || (clientEnded && parts().length === 0)
  await disturb(parts, isOver)
  for (const deadline = Date.now() + PATIENCE; !isOver() && Date.now() < deadline; ) await delay(5)
  // A client whose peer was killed may wait for ever, with the engine's lock; a container that was created, for its start.
  for (const part of parts()) if (kindOf(part) === 'client') kill9(part.pid)
  await door.remove(name)
  await until(`nothing is left of ${name}`, () => {
    const left = parts()
    for (const { pid } of left) kill9(pid)
    return left.length === 0
  })
  await end
}

/** A test for each of these doors: `rounds` containers, with parts of these kinds killed. */
export function testKills(rounds: number, kindsOf: Partial<Record<keyof typeof DOORS, readonly Kind[]>>): void {
  // Far more than it takes, with TEST_ALL too.
  tap.setTimeout(1_800_000)
  for (const [name, kinds] of Object.entries(kindsOf)) {
    test(`${name}: ${rounds} kills at random moments`, {
      timeout: 600_000,
      ...needs(...programsOf(name)),
    }, async (t) => {
      const { unfiltered, ran, killed } = await killAtRandom(await DOORS[name as keyof typeof DOORS](t), rounds, kinds)
      t.same(unfiltered, [], 'no program ran without its filter')
      t.comment(`killed: ${JSON.stringify(killed)}; ${ran} of ${rounds} programs ran nevertheless, filtered`)
    })
  }
}
