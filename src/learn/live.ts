/** Runs that are being recorded at this moment. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { readTrusted } from '../host/files.ts'
import { isAlive } from '../host/processes.ts'
import type { Store } from '../policy/store.ts'
import { pendingRuns, RECORD } from './pending.ts'
import { decodeStream, type Hello, type Trace } from './stream.ts'

/** Whether the tracer that wrote this is still there. */
export function isRunning({ bootId, tracerPid, tracerStart }: Hello): boolean {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim() === bootId && isAlive(tracerPid, tracerStart)
}

export interface LiveRun {
  readonly run: string
  readonly trace: Trace & { readonly hello: Hello }
}

/** The runs of a policy whose tracer lives, oldest first. Throws STORE_UNSAFE. */
export function liveRuns(store: Store, policy: string): LiveRun[] {
  return pendingRuns(store, policy).flatMap((run) => {
    const text = readTrusted(join(store.runs(policy), run + RECORD))?.toString('utf8')
    const trace = text === undefined ? undefined : decodeStream(text)
    if (trace?.hello === undefined || trace.finish !== undefined || !isRunning(trace.hello)) return []
    return [{ run, trace: { ...trace, hello: trace.hello } }]
  })
}
