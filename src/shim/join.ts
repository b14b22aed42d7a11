/**
 * exec: a program that joins a container. No hook runs for it, and a filter that was installed at the execve of the container's program
 * does not hold it: the helper takes hold of the process that becomes the runtime.
 */
import { decide } from '../decide/decide.ts'
import { filterOf } from '../enforce/filter.ts'
import { tracerArguments } from '../enforce/install.ts'
import { SandboxError } from '../errors.ts'
import { runTracer } from '../host/tracer.ts'
import { DETAIL, DETAILS } from '../oci/annotations.ts'
import { imageOf } from '../oci/image.ts'
import { Store } from '../policy/store.ts'
import { directoryOf, readRecord } from './container.ts'
import { keptFilter } from './filter.ts'
import type { Invocation } from './invocation.ts'
import { effectiveAnnotations } from './request.ts'
import { stateOf } from './state.ts'
import { readArguments } from './subcommand.ts'

interface Joined {
  readonly id: string
  /** The container's init. */
  readonly pid: number
}

/** Throws where the container is enforced or learned and its program would be neither: it does not start then. */
export async function join(invocation: Invocation): Promise<readonly string[]> {
  const { command, subcommand } = invocation
  const { id } = readArguments(subcommand, command.rest)
  if (id !== undefined) await prepareJoining(invocation, id)
  return [...command.globals, subcommand, ...command.rest]
}

async function prepareJoining(invocation: Invocation, id: string): Promise<void> {
  const place = invocation.place(id)
  const record = readRecord(place)
  const state = stateOf(place)
  // The runtime itself says that there is no such container, or that it has ended.
  if (state === undefined ? record === undefined : state.status === 'stopped') return
  if (state?.pid === undefined || state.pid === 0) {
    throw new SandboxError('RUNTIME_FAILED', `container ${id} is not running, as far as ${invocation.runtime} knows`)
  }
  const joined = { id, pid: state.pid }
  // A filter that the runtime itself loads holds whatever it starts in the container.
  if (record?.kind === 'enforce' && record.method !== 'exec') return
  if (record?.kind === 'enforce') return enforceJoined(invocation, joined, keptFilter(directoryOf(place), id))
  if (record?.kind === 'learn') return learnJoined(invocation, joined, record.policy, state.annotations)
  // Not the shim's: whatever has created it, its annotations say what it is.
  const decision = decide(effectiveAnnotations(state.annotations, invocation.command.own), invocation.settings)
  if (decision.kind === 'learn') return learnJoined(invocation, joined, decision.policy, state.annotations)
  if (decision.kind === 'enforce') {
    const programs = await filterOf(
      new Store(invocation.settings.store, invocation.settings),
      decision.policy,
      decision.action,
    )
    enforceJoined(
      invocation,
      joined,
      programs.map(({ path }) => path),
    )
  }
}

function enforceJoined({ settings, pid }: Invocation, joined: Joined, filters: readonly string[]): void {
  runTracer([
    ...['enforce', '--joining', '--pid', String(pid), '--container-pid', String(joined.pid)],
    ...['--container', joined.id, ...tracerArguments({ ...settings, filters })],
  ])
}

async function learnJoined(
  { settings, pid }: Invocation,
  joined: Joined,
  policy: string,
  annotations: Readonly<Record<string, string>>,
): Promise<void> {
  const { startLearning } = await import('../learn/start.ts')
  const image = imageOf(annotations)
  await startLearning(new Store(settings.store, settings), {
    ...{ policy, container: joined.id, pid, containerPid: joined.pid },
    ...{ backend: settings.learn.backend, setNoNewPrivileges: settings.setNoNewPrivileges },
    detail: DETAILS.find((detail) => detail === annotations[DETAIL]) ?? 'names',
    ...(image === undefined ? {} : { image }),
  })
}
