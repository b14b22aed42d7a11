import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { asSandboxError, oneLine, SandboxError } from '../errors.ts'
import { readTrusted } from '../host/files.ts'
import { print, printError } from '../host/output.ts'
import { type LiveRun, liveRuns } from '../learn/live.ts'
import { decodeNote } from '../learn/note.ts'
import { NOTE } from '../learn/pending.ts'
import { type Progress, progressOf, rateBetween } from '../learn/progress.ts'
import type { Store } from '../policy/store.ts'
import { SYSCALL_NAMES } from '../policy/syscall-names.ts'
import type { Command } from './command.ts'
import { table } from './text.ts'

/** What one container that is being learned has shown until now. */
interface Row {
  readonly policy: string
  readonly container: string
  readonly program: string
  readonly backend: string
  readonly started: string
  readonly seconds: number
  /** Different calls. */
  readonly distinct: number
  /** Those that the stored policy has not. */
  readonly new: number
  /** So far; absent where they are not counted while the program runs. */
  readonly calls?: number
  /** Calls per second since the last look, or from the start on; absent where they are not counted. */
  readonly rate?: number
  /** Calls and tasks that were lost, so far. */
  readonly lost?: number
  /** Lines of the record that cannot be read. */
  readonly damaged: boolean
}

/** What was seen of each run at the last look. */
type Looks = Map<string, Progress>

const INTERVAL = { least: 0.1, usual: 2, most: 3600 }

export const top: Command = {
  name: 'top',
  summary: 'Watch the containers that are being learned.',
  details:
    'Shows each run whose tracer lives, until q or Ctrl-C: its policy, container and program, its calls per second since the last look\n' +
    '(at the first one, from its start on), how many different calls it has made, how many of them the policy does not have yet,\n' +
    'how many calls and tasks were lost, and whether its record is damaged. A filter that lets calls pass unseen counts none (-).',
  options: {
    once: { type: 'boolean', help: 'show it once and end' },
    json: { type: 'boolean', help: 'once, as JSON' },
    interval: { type: 'string', value: 'SECONDS', help: `how often it is shown again (default: ${INTERVAL.usual})` },
  },
  arity: [0, 0],
  async run({ store, text, flag }) {
    const interval = intervalOf(text('interval'))
    if (flag('json')) print(`${JSON.stringify(rowsOf(store, new Map()), null, 2)}\n`)
    else if (flag('once')) print(describe(rowsOf(store, new Map())))
    else await watch(store, interval)
    return 0
  },
}

function intervalOf(text: string | undefined): number {
  const interval = text === undefined ? INTERVAL.usual : Number(text)
  if (interval >= INTERVAL.least && interval <= INTERVAL.most) return interval * 1000
  throw new SandboxError('USAGE', `--interval ${text}: expected seconds from ${INTERVAL.least} to ${INTERVAL.most}`)
}

function rowsOf(store: Store, looks: Looks): Row[] {
  return store.list().flatMap((policy) => {
    try {
      return liveRuns(store, policy).map((live) => row(store, policy, live, looks))
    } catch (cause) {
      const error = asSandboxError(cause)
      printError(`oci-sandbox: ${oneLine(error)} [${error.code}]\n`)
      return []
    }
  })
}

function row(store: Store, policy: string, { run, trace }: LiveRun, looks: Looks): Row {
  const known = knownCalls(store, policy)
  const fresh = trace.calls.filter(({ arch, nr }) => {
    const number = arch === 'x32' ? nr + 0x4000_0000 : nr // __X32_SYSCALL_BIT, asm/unistd.h
    return !known.has(`${arch} ${SYSCALL_NAMES.nameOf(arch, number) ?? number}`)
  })
  const seconds = Math.max(0, (Date.now() - Date.parse(trace.hello.started)) / 1000)
  const progress = progressOf(trace.hello)
  const rate = rateOf(looks.get(run), progress, seconds)
  if (progress !== undefined) looks.set(run, progress)
  return {
    policy,
    container: containerOf(store, policy, run),
    program: trace.program?.path ?? '-',
    backend: trace.hello.backend,
    started: trace.hello.started,
    seconds: Math.round(seconds * 10) / 10,
    distinct: trace.calls.length,
    new: fresh.length,
    ...(progress === undefined || progress.partial ? {} : { calls: progress.calls }),
    ...(rate === undefined ? {} : { rate }),
    ...(progress === undefined ? {} : { lost: progress.lost }),
    damaged: trace.damage !== undefined,
  }
}

/** The average from the start on where there was no look before. */
function rateOf(earlier: Progress | undefined, now: Progress | undefined, seconds: number): number | undefined {
  if (earlier !== undefined) return rateBetween(earlier, now)
  return now === undefined || now.partial || seconds <= 0 ? undefined : Math.round(now.calls / seconds)
}

/** What the policy has already, without what is not merged yet. */
function knownCalls(store: Store, name: string): Set<string> {
  const text = store.readText(name)
  const architectures = text === undefined ? {} : store.decode(name, text).architectures
  return new Set(
    Object.entries(architectures).flatMap(([architecture, { syscalls }]) =>
      syscalls.filter(({ via }) => via === undefined).map((call) => `${architecture} ${call.name ?? call.number}`),
    ),
  )
}

/** What the hook wrote beside the record; not there yet while the hook is at work. */
function containerOf(store: Store, policy: string, run: string): string {
  const text = readTrusted(join(store.runs(policy), run + NOTE))?.toString('utf8')
  return (text === undefined ? undefined : decodeNote(text).container) ?? '-'
}

function describe(rows: readonly Row[]): string {
  if (rows.length === 0) return 'no container is being learned\n'
  const cells = rows.map(
    ({ policy, container, program, backend, seconds, rate, distinct, new: fresh, lost, damaged }) => [
      policy,
      // Container ids are long, and their beginning tells them apart.
      container.slice(0, 24),
      `${Math.round(seconds)} s`,
      rate === undefined ? '-' : String(rate),
      String(distinct),
      String(fresh),
      lost === undefined ? '-' : String(lost),
      damaged ? 'yes' : 'no',
      backend,
      program,
    ],
  )
  return table([
    ['POLICY', 'CONTAINER', 'TIME', 'CALLS/S', 'CALLS', 'NEW', 'LOST', 'DAMAGED', 'BACKEND', 'PROGRAM'],
    ...cells,
  ])
}

/** Clears the terminal and shows it again, until q, Ctrl-C or the end of standard input. */
async function watch(store: Store, interval: number): Promise<void> {
  const { stdin } = process
  const raw = stdin.isTTY === true
  if (raw) stdin.setRawMode(true)
  const ended = new Promise<void>((resolve) => {
    stdin.on('data', (bytes: Buffer) => {
      // With a raw terminal Ctrl-C is a byte.
      if (bytes.includes('q') || bytes.includes(3)) resolve()
    })
    stdin.on('end', () => resolve())
    process.on('SIGINT', () => resolve())
    process.on('SIGTERM', () => resolve())
  })
  const looks: Looks = new Map()
  const show = () =>
    print(`\u001b[H\u001b[2J${clock()} ${describe(rowsOf(store, looks)).replace(/\n/g, raw ? '\r\n' : '\n')}`)
  const timer = setInterval(show, interval)
  try {
    show()
    await ended
  } finally {
    clearInterval(timer)
    if (raw) stdin.setRawMode(false)
    stdin.pause()
  }
}

function clock(): string {
  return `${new Date().toISOString().slice(11, 19)}Z, load ${readFileSync('/proc/loadavg', 'utf8').split(' ')[0]}\n`
}
