/** The container's state, as a runtime hands it to a hook on stdin (runtime-spec, runtime.md#state). */
import { SandboxError } from '../errors.ts'
import type { StateSchema as SpecState } from '../generated/runtime-spec-state.ts'
import { isObject, parseObject } from '../json.ts'

export type Status = SpecState['status']

export interface State {
  readonly id: string
  readonly status: Status
  /** The init process in the hook's PID namespace; absent once it is gone. */
  readonly pid?: number
  readonly bundle: string
  readonly annotations: Readonly<Record<string, string>>
}

const STATUSES: readonly Status[] = ['creating', 'created', 'running', 'stopped']

/** Decodes a state. Unknown keys are let pass: runtimes add their own (crun: root, owner). Throws STATE_INVALID. */
export function decodeState(text: string): State {
  const refuse = (problem: string): never => {
    throw new SandboxError(
      'STATE_INVALID',
      `the container's state on standard input: ${problem}; a hook is started by an OCI runtime, which writes the state`,
    )
  }
  const value = parseObject(text, refuse)
  const { id, status, pid, bundle } = value
  const annotations = value.annotations ?? {}
  if (typeof id !== 'string' || id === '') return refuse('/id: expected the container id')
  if (!STATUSES.includes(status as Status)) return refuse(`/status: expected one of ${STATUSES.join(', ')}`)
  if (typeof bundle !== 'string' || !bundle.startsWith('/')) return refuse('/bundle: expected an absolute path')
  if (pid !== undefined && !(typeof pid === 'number' && Number.isSafeInteger(pid) && pid >= 0)) {
    return refuse('/pid: expected a process id')
  }
  if (!isObject(annotations)) return refuse('/annotations: expected an object')
  for (const [key, annotation] of Object.entries(annotations)) {
    if (typeof annotation !== 'string') return refuse(`/annotations/${key}: expected a string`)
  }
  return {
    id,
    status: status as Status,
    bundle,
    annotations: annotations as Record<string, string>,
    ...(pid === undefined ? {} : { pid }),
  }
}
