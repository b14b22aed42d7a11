/** The journal of the store: NDJSON, a line for every refusal and every event of enforcement. */
import { closeSync, constants, fstatSync, openSync, renameSync, writeSync } from 'node:fs'
import { join } from 'node:path'

/** The journal is renamed to journal.ndjson.1 when it is larger. Bytes. */
const MAX_SIZE = 8 * 1024 * 1024

export function journalPath(store: string): string {
  return join(store, 'journal.ndjson')
}

/** From what is always written to what is written only on request. */
const LOG_LEVELS = ['error', 'warning', 'info', 'debug'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

/** Graver than info; every other event is info. The same levels as in tracer/base/journal.c. */
const LEVELS: Readonly<Record<string, LogLevel>> = {
  refused: 'error',
  failed: 'error',
  killed: 'error',
  ended: 'warning',
  unverified: 'warning',
  decided: 'debug',
}

/** Whether an event goes into a journal of this level. */
function isLogged(event: string, level: LogLevel): boolean {
  return LOG_LEVELS.indexOf(LEVELS[event] ?? 'info') <= LOG_LEVELS.indexOf(level)
}

export interface JournalEntry {
  readonly event: string
  readonly code?: string
  readonly container?: string | undefined
  readonly message: string
}

/** Appends an entry that the level asks for, in one write. Never throws: what is being reported must not be hidden by a journal that cannot be written. */
export function appendJournal(store: string, entry: JournalEntry, level: LogLevel = 'info'): void {
  if (!isLogged(entry.event, level)) return
  try {
    const path = journalPath(store)
    const flags = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW
    const descriptor = openSync(path, flags, 0o640)
    try {
      if (fstatSync(descriptor).size > MAX_SIZE) renameSync(path, `${path}.1`)
      writeSync(descriptor, `${JSON.stringify({ time: new Date().toISOString(), ...entry })}\n`)
    } finally {
      closeSync(descriptor)
    }
  } catch {
    // Standard error, which the runtime shows, has the message as well.
  }
}
