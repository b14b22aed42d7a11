import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { asSandboxError, oneLine, SandboxError } from '../errors.ts'
import { seccompLibrary } from '../filter/library.ts'
import { readTrusted } from '../host/files.ts'
import { print, printError } from '../host/output.ts'
import { type LiveRun, liveRuns } from '../learn/live.ts'
import { decodeNote } from '../learn/note.ts'
import { NOTE } from '../learn/pending.ts'
import type { Store } from '../policy/store.ts'
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
  /** Calls per second from the start on; absent where the record does not count before its end. */
  readonly rate?: number
  /** Lines of the record that cannot be read. */
  readonly damaged: boolean
}

const INTERVAL = { least: 0.1, usual: 2, most: 3600 }

export const top: Command = {
  name: 'top',
  summary: 'Watch the containers that are being learned.',
  details:
    'Shows each run whose tracer lives, until q or Ctrl-C: its policy, container and program, how many different calls it has made,\n' +
    'how many of them the policy does not have yet, and whether its record is damaged. Records count calls at their end only, so\n' +
    'that there are no calls per second (-) unless the tracer writes counts while it runs.',
  options: {
    once: { type: 'boolean', help: 'show it once and end' },
    json: { type: 'boolean', help: 'once, as JSON' },
    interval: { type: 'string', value: 'SECONDS', help: `how often it is shown again (default: ${INTERVAL.usual})` },
  },
  arity: [0, 0],
  async run({ store, text, flag }) {
    const interval = intervalOf(text('interval'))
    if (flag('json')) print(`${JSON.stringify(rowsOf(store), null, 2)}\n`)
    else if (flag('once')) print(describe(rowsOf(store)))
    else await watch(store, interval)
    return 0
  },
}

function intervalOf(text: string | undefined): number {
  const interval = text === undefined ? INTERVAL.usual : Number(text)
  if (interval >= INTERVAL.least && interval <= INTERVAL.most) return interval * 1000
  throw new SandboxError('USAGE', `--interval ${text}: expected seconds from ${INTERVAL.least} to ${INTERVAL.most}`)
}

function rowsOf(store: Store): Row[] {
  return store.list().flatMap((policy) => {
    try {
      return liveRuns(store, policy).map((live) => row(store, policy, live))
    } catch (cause) {
      const error = asSandboxError(cause)
      printError(`oci-sandbox: ${oneLine(error)} [${error.code}]\n`)
      return []
    }
  })
}

function row(store: Store, policy: string, { run, trace }: LiveRun): Row {
  const known = knownCalls(store, policy)
  const seccomp = seccompLibrary()
  const fresh = trace.calls.filter(({ arch, nr }) => {
    const number = arch === 'x32' ? nr + 0x4000_0000 : nr // __X32_SYSCALL_BIT, asm/unistd.h
    return !known.has(`${arch} ${seccomp.resolveNumber(arch as 'x86_64', number) ?? number}`)
  })
  const seconds = Math.max(0, (Date.now() - Date.parse(trace.hello.started)) / 1000)
  const made = trace.calls.reduce((sum, { count }) => sum + count, 0)
  return {
    policy,
    container: containerOf(store, policy, run),
    program: trace.program?.path ?? '-',
    backend: trace.hello.backend,
    started: trace.hello.started,
    seconds: Math.round(seconds * 10) / 10,
    distinct: trace.calls.length,
    new: fresh.length,
    ...(made > trace.calls.length && seconds > 0 ? { rate: Math.round(made / seconds) } : {}),
    damaged: trace.damage !== undefined,
  }
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
  const cells = rows.map(({ policy, container, program, backend, seconds, rate, distinct, new: fresh, damaged }) => [
    policy,
    // Container ids are long, and their beginning tells them apart.
    container.slice(0, 24),
    `${Math.round(seconds)} s`,
    rate === undefined ? '-' : String(rate),
    String(distinct),
    String(fresh),
    damaged ? 'yes' : 'no',
    backend,
    program,
  ])
  return table([['POLICY', 'CONTAINER', 'TIME', 'CALLS/S', 'CALLS', 'NEW', 'DAMAGED', 'BACKEND', 'PROGRAM'], ...cells])
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
  const show = () => print(`\u001b[H\u001b[2J${clock()} ${describe(rowsOf(store)).replace(/\n/g, raw ? '\r\n' : '\n')}`)
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
