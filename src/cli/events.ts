import { closeSync, existsSync, openSync, readSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { SandboxError } from '../errors.ts'
import { errnoOf, failed } from '../host/files.ts'
import { print, printError } from '../host/output.ts'
import { type EventFile, eventFiles, readEvents } from '../learn/event-files.ts'
import { liveRuns } from '../learn/live.ts'
import type { Store } from '../policy/store.ts'
import type { Command } from './command.ts'
import { count } from './text.ts'

const INTERVAL_MS = 200

export const events: Command = {
  name: 'events',
  operands: 'POLICY',
  summary: 'Print every call of runs with io.sandbox.detail=events, as NDJSON.',
  details:
    "A line for each call, with the keys of Tracee's events: import --format tracee reads them. What was dropped as there was no room is said on\n" +
    'standard error.',
  options: {
    run: { type: 'string', value: 'RUN', help: 'of this run only (default: all, the oldest first)' },
    follow: { type: 'boolean', help: 'go on while containers are being learned' },
  },
  arity: [1, 1],
  async run({ operands, store, text, flag }) {
    const name = operands[0] as string
    const wanted = text('run')
    const of = (files: EventFile[]) => files.filter(({ run }) => wanted === undefined || run === wanted)
    if (!store.list().includes(name)) throw store.notFound(name)
    if (flag('follow')) await follow(store, name, of)
    else {
      const files = of(eventFiles(store, name))
      if (files.length === 0)
        throw new SandboxError('USAGE', `policy ${name}: no run with io.sandbox.detail=events has left events`)
      for (const file of files) print((await readEvents(file)).toString('utf8'))
    }
    sayWhatIsMissing(store, name, wanted)
    return 0
  },
}

/** Runs whose events, or the first of them, are not there any more. */
function sayWhatIsMissing(store: Store, name: string, wanted: string | undefined): void {
  const runs = store.readText(name) === undefined ? [] : store.read(name).runs
  const files = eventFiles(store, name)
  for (const { id, events: made } of runs) {
    if (made === undefined || (wanted !== undefined && id !== wanted)) continue
    const gone = made.written > 0 && !files.some(({ run }) => run === id)
    const missing = made.dropped + made.failed
    if (gone) printError(`oci-sandbox: run ${id}: its events were removed to make room for newer ones\n`)
    else if (missing > 0)
      printError(`oci-sandbox: run ${id}: ${count(missing, 'event')} of ${made.written + made.failed} missing\n`)
  }
}

/** Prints what is there and what comes, until no container is being learned into the policy any more. */
async function follow(store: Store, name: string, of: (files: EventFile[]) => EventFile[]): Promise<void> {
  const printed = new Map<string, number>()
  for (let last = false; ; await delay(INTERVAL_MS)) {
    const live = liveRuns(store, name).length > 0
    for (const file of of(eventFiles(store, name))) {
      const key = `${file.run} ${file.number}`
      const from = printed.get(key) ?? 0
      const news = await readFrom(file, from)
      const whole = news.subarray(0, news.lastIndexOf('\n') + 1)
      if (whole.length > 0) print(whole.toString('utf8'))
      printed.set(key, from + whole.length)
    }
    if (last) return
    last = !live // one more look at what came meanwhile
  }
}

/** What stands in a file beyond the first `from` bytes. It may be packed, or dropped, at any moment. */
async function readFrom(file: EventFile, from: number): Promise<Buffer> {
  try {
    if (!file.packed) return tail(file.path, from)
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw failed(`read ${file.path}`, error)
  }
  const packed = file.packed ? file : { ...file, path: `${file.path}.gz`, packed: true }
  return existsSync(packed.path) ? (await readEvents(packed)).subarray(from) : Buffer.alloc(0)
}

function tail(path: string, from: number): Buffer {
  const descriptor = openSync(path, 'r')
  try {
    const parts: Buffer[] = []
    for (let at = from; ; ) {
      const part = Buffer.alloc(1 << 20)
      const length = readSync(descriptor, part, 0, part.length, at)
      if (length === 0) return Buffer.concat(parts)
      parts.push(part.subarray(0, length))
      at += length
    }
  } finally {
    closeSync(descriptor)
  }
}
