/** Starts the tracer on a container that is being created. */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import type { LearnBackend } from '../decide/settings.ts'
import { SandboxError } from '../errors.ts'
import type { Image } from '../generated/policy.ts'
import { TRACER_ARGUMENTS } from '../generated/tracer-arguments.ts'
import { TRACER_PATHS } from '../generated/tracer-paths.ts'
import { readTrusted, writeAtomic } from '../host/files.ts'
import { randomHex } from '../host/hash.ts'
import { runTracer } from '../host/tracer.ts'
import type { Detail } from '../oci/annotations.ts'
import type { Store } from '../policy/store.ts'
import { currentKnown } from './known-file.ts'
import { NOTE, RECORD } from './pending.ts'
import type { Note } from './run.ts'
import { decodeStream } from './stream.ts'

export interface LearnRequest {
  readonly policy: string
  /** Absent for a program that runs in none. */
  readonly container?: string
  /** The container's init, or with `containerPid` the process that is about to become a runtime's `exec`. */
  readonly pid: number
  readonly detail: Detail
  /** The init of the container that a program is about to join. */
  readonly containerPid?: number
  readonly image?: Image
  /** The host's word on how to watch. */
  readonly backend: LearnBackend
  /** Whether the tracer may set no_new_privs on the container for the sake of a filter. */
  readonly setNoNewPrivileges: boolean
}

/**
 * Returns the run's name when the container is traced; the tracer goes on by itself until the container's end. Its record is
 * runs/RUN.ndjson, what it cannot know is beside it in runs/RUN.json. Throws TRACER_FAILED, STORE_FAILED, STORE_UNSAFE.
 */
export async function startLearning(store: Store, request: LearnRequest): Promise<string> {
  const { policy, container, pid, containerPid, detail, image } = request
  store.prepare(policy)
  const started = new Date().toISOString()
  const run = `${started.replace(/[-:.]/g, '')}-${randomHex(6)}`
  const base = join(store.runs(policy), run)
  const record = base + RECORD
  let begun: (() => void) | undefined
  try {
    const joining = containerPid === undefined ? [] : ['--joining', '--container-pid', String(containerPid)]
    const options = [...joining, ...wayOf(store, request), ...detailOptions(detail), ...denialOptions(store, policy)]
    if (detail === 'events') {
      const { eventOptions } = await import('./event-files.ts')
      const more = await eventOptions(store, policy, run, container)
      begun = more.begun
      options.push(...more.options)
    }
    runTracer(['learn', '--pid', String(pid), '--output', record, '--run-id', run, ...options])
    if (decodeStream(readTrusted(record)?.toString('utf8') ?? '').hello === undefined) {
      throw new SandboxError(
        'TRACER_FAILED',
        `the native helper says that it learns, but ${record} does not; install it again`,
      )
    }
    const note: Note = {
      started,
      ...(container === undefined ? {} : { container }),
      ...(image === undefined ? {} : { image }),
    }
    writeAtomic(base + NOTE, `${JSON.stringify(note)}\n`, { mode: 0o600 })
    return run
  } catch (error) {
    for (const suffix of [RECORD, NOTE]) rmSync(base + suffix, { force: true })
    rmSync(join(store.events(policy), `${run}.0.ndjson`), { force: true })
    throw error
  } finally {
    begun?.()
  }
}

/** The tracer's options. A policy's first two runs know no calls yet. */
function wayOf(store: Store, { policy, containerPid, setNoNewPrivileges, ...request }: LearnRequest): string[] {
  // Every call is stopped for: a host that insists on eBPF refuses.
  if (request.detail === 'events' && request.backend !== 'ebpf') return ['--backend', 'ptrace-syscall']
  // eBPF does not follow a runtime to the process that it starts in a container.
  const backend = request.backend === 'ebpf' && containerPid !== undefined ? 'auto' : request.backend
  const known = backend === 'auto' || backend === 'ptrace-known' ? currentKnown(store, policy) : undefined
  const way = backend === 'ptrace-known' && known === undefined ? 'ptrace-adaptive' : backend
  return [
    '--backend',
    way,
    ...(known === undefined ? [] : ['--known', known]),
    ...(setNoNewPrivileges ? ['--allow-no-new-privs'] : []),
  ]
}

/** Each level of detail includes the one before it. */
function detailOptions(detail: Detail): string[] {
  return [
    ...(detail === 'names' ? [] : ['--arguments', TRACER_ARGUMENTS[process.arch] ?? '']),
    ...(detail === 'paths' || detail === 'events' ? ['--paths', TRACER_PATHS[process.arch] ?? ''] : []),
  ]
}

/**
 * A program that may install a filter of its own, as earlier runs say: with eBPF, what that denies is seen from its first call on only if
 * it is looked for from the start (tracer/README.md).
 */
function denialOptions(store: Store, policy: string): string[] {
  const known = store.readText(policy)?.toString('latin1') ?? ''
  return /"(prctl|seccomp)"/.test(known) ? ['--denied'] : []
}
