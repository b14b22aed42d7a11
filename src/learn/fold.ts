/** Records of runs -> the policy in the store. */
import { existsSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { PolicyDocument } from '../generated/policy.ts'
import { readTrusted } from '../host/files.ts'
import { appendJournal } from '../host/journal.ts'
import { startTimeOf } from '../host/processes.ts'
import { mergePolicies } from '../policy/merge.ts'
import { withSiblings } from '../policy/siblings.ts'
import type { Store } from '../policy/store.ts'
import { SYSCALL_NAMES } from '../policy/syscall-names.ts'
import { holdsKnown, knownCalls } from './known.ts'
import { writeKnown } from './known-file.ts'
import { isRunning } from './live.ts'
import { decodeNote } from './note.ts'
import { NOTE, pendingRuns, RECORD } from './pending.ts'
import { type Note, policyOfRun } from './run.ts'
import { decodeStream, type Trace } from './stream.ts'
import { runSummary } from './summary.ts'

const UNWATCHED = 'calls were not watched, as the policy held them, but it does not hold them now'

/**
 * Merges every run that has ended, or whose tracer has, into its policy. With ptrace the tracer writes a record's last line before the
 * runtime can learn of the container's end; with eBPF somewhat later, so whoever reads a policy waits first (settleRuns). A
 * record is removed once the policy that holds it is on disk; after a crash in between it is folded again, which changes nothing.
 */
export async function foldRuns(store: Store, name: string): Promise<void> {
  const folded = new Map<string, Note>()
  const merge = (stored: PolicyDocument | undefined) => {
    let policy = stored
    for (const run of pendingRuns(store, name)) {
      const note = readNote(store, name, run)
      const abandoned = () => note !== undefined || isOld(join(store.runs(name), run + RECORD))
      const trace = endedTrace(() => readRecord(store, name, run), abandoned)
      if (trace === undefined) continue
      const whole = holdsKnown(policy, trace.known, SYSCALL_NAMES) ? trace : { ...trace, damage: UNWATCHED }
      const made = policyOfRun(name, run, whole, note ?? {}, SYSCALL_NAMES)
      const learned = store.siblings ? withSiblings(made, SYSCALL_NAMES) : made
      policy = policy === undefined ? learned : mergePolicies(policy, learned)
      folded.set(run, note ?? {})
    }
    return policy
  }
  // Still alone: whoever comes next finds the list of known calls, and no record that is in the policy already.
  await store.update(name, merge, (policy) => {
    if (folded.size === 0) return
    listKnown(store, name)
    for (const run of folded.keys())
      for (const suffix of [RECORD, NOTE]) rmSync(join(store.runs(name), run + suffix), { force: true })
    for (const [run, { container }] of folded) {
      const message = runSummary(policy, run)
      if (message !== undefined) appendJournal(store.root, { event: 'learned', container, message }, store.logLevel)
    }
  })
  await packAll(store, name)
}

/** Compresses the events of every run that is over; not under the lock, as others need not wait for it. */
async function packAll(store: Store, name: string): Promise<void> {
  if (!existsSync(store.events(name))) return
  const { packEvents } = await import('./event-files.ts')
  await packEvents(store, name)
}

/** For the next run. */
function listKnown(store: Store, name: string): void {
  const text = store.readText(name)
  if (text !== undefined) writeKnown(store, name, text, knownCalls(store.decode(name, text), SYSCALL_NAMES))
}

/** How long the last line may be in coming, after a container's end: the tracer may still compute the digest of a huge program (10 s). */
const PATIENCE_MS = 12_000
const INTERVAL_MS = 5

/**
 * Waits, for a bounded time, until the tracers of containers that have ended have written their last lines. It does not wait for processes
 * that outlive the container's init (in the host's pid namespace): their run is merged later.
 */
export async function settleRuns(store: Store, name: string): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS
  for (const run of pendingRuns(store, name)) {
    while (isUnsettled(readRecord(store, name, run)) && Date.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, INTERVAL_MS))
    }
  }
}

/** Whether the container's init is gone, and the tracer has not said so yet. */
function isUnsettled(trace: Trace | undefined): boolean {
  if (trace?.hello === undefined || trace.finish !== undefined || trace.initEnded) return false
  const { hello } = trace
  // A program that joins a container may outlive its runtime. It is traced with ptrace, whose last line is never late.
  return hello.joining === undefined && startTimeOf(hello.pid) === undefined && isRunning(hello)
}

function readRecord(store: Store, name: string, run: string): Trace | undefined {
  const text = readTrusted(join(store.runs(name), run + RECORD))?.toString('utf8')
  return text === undefined ? undefined : decodeStream(text)
}

function readNote(store: Store, name: string, run: string): Note | undefined {
  const text = readTrusted(join(store.runs(name), run + NOTE))?.toString('utf8')
  return text === undefined ? undefined : decodeNote(text)
}

/** Longer than any runtime waits for its hooks. */
const HOOK_PATIENCE_MS = 3_600_000

function isOld(path: string): boolean {
  const changed = statSync(path, { throwIfNoEntry: false })?.mtimeMs
  return changed !== undefined && changed < Date.now() - HOOK_PATIENCE_MS
}

/** The trace of a run that is over; undefined while its tracer lives. `abandoned`: no hook will write more of it. */
function endedTrace(read: () => Trace | undefined, abandoned: () => boolean): Trace | undefined {
  const trace = read()
  if (trace === undefined || trace.finish !== undefined) return trace
  // The tracer's first line is missing. With a note it once was there (start.ts): the record is damaged. Without one, the hook is
  // still at work, or was when power failed.
  if (trace.hello === undefined) return abandoned() ? trace : undefined
  if (isRunning(trace.hello)) return undefined
  // Read again: the tracer may have written its last lines and ended after the first reading.
  return read()
}
