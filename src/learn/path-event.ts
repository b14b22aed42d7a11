/** The lines of a record about files, endpoints and programs (tracer/README.md, "learn: paths"). Pure. */
import type { ExecutedProgram, LearnedEndpoint, LearnedFile } from '../generated/policy.ts'
import type { Json } from '../json.ts'
import { ACCESSES, type Access, endpointParts } from '../policy/paths.ts'

type Event = { readonly [key: string]: Json }

/** What is missing of a run's facts; how many each. */
export interface Missing {
  readonly left: number
  readonly unreadable: number
  readonly long: number
  readonly folded: number
}

/** As the lines say it: what was collapsed later stands beside its parts. */
export interface TracedPaths {
  readonly files: LearnedFile[]
  readonly endpoints: LearnedEndpoint[]
  readonly programs: ExecutedProgram[]
  missing?: Missing
}

/** The schema's limits. */
const MAX_PATH = 4096
const MAX_NAME = 256
const COVERS: readonly unknown[] = [undefined, 'names', 'all']
const OUTCOME_OF = new Map<Json | undefined, LearnedEndpoint['outcomes'][number]>([
  [true, 'ok'],
  [false, 'failed'],
  [null, 'started'],
])

/** Whether the tracer writes such a line. */
export function isPathEvent(event: Event): boolean {
  if (event.event === 'paths')
    return [event.left, event.unreadable, event.long, event.folded].every(
      (count) => Number.isSafeInteger(count) && (count as number) >= 0,
    )
  if (!COVERS.includes(event.covers)) return false
  if (event.event === 'endpoint') return isEndpoint(event)
  return isPath(event.path) && (event.event === 'execute' || (typeof event.ok === 'boolean' && isAccess(event.access)))
}

/** Adds a line that isPathEvent() has found sound. */
export function addPathEvent(paths: TracedPaths, event: Event): void {
  const covers = event.covers === undefined ? {} : { covers: event.covers as 'names' | 'all' }
  switch (event.event) {
    case 'file': {
      const access = event.access as Access[]
      paths.files.push({
        path: event.path as string,
        ...covers,
        ...(event.ok === true ? { ok: access } : { failed: access }),
      })
      break
    }
    case 'endpoint':
      paths.endpoints.push(endpointOf(event))
      break
    case 'execute':
      paths.programs.push({ path: event.path as string, ...covers })
      break
    case 'paths':
      paths.missing = event as unknown as Missing
      break
  }
}

function isPath(path: Json | undefined): boolean {
  return typeof path === 'string' && path.startsWith('/') && path.length <= MAX_PATH
}

function isAccess(access: Json | undefined): boolean {
  return (
    Array.isArray(access) &&
    access.length > 0 &&
    access.length <= ACCESSES.length &&
    access.every((name) => ACCESSES.includes(name as Access))
  )
}

function isEndpoint(event: Event): boolean {
  const { kind, family, path, name, address, port, ok } = event
  return (
    (kind === 'bind' || kind === 'connect' || kind === 'send') &&
    typeof family === 'string' &&
    /^(unix|abstract|inet|inet6|other|[0-9]{1,5})$/.test(family) &&
    OUTCOME_OF.has(ok) &&
    ok !== undefined &&
    (path === undefined || isPath(path)) &&
    (name === undefined || (typeof name === 'string' && name.length <= MAX_NAME)) &&
    (address === undefined || (typeof address === 'string' && /^[0-9a-f.:]{2,45}$/.test(address))) &&
    (port === undefined || (Number.isInteger(port) && (port as number) >= 0 && (port as number) <= 65_535)) &&
    endpointParts(event as unknown as LearnedEndpoint) !== undefined
  )
}

function endpointOf(event: Event): LearnedEndpoint {
  const { event: _, ok, ...address } = event
  const { kind, family, path, name, port, covers } = address as unknown as LearnedEndpoint
  return {
    kind,
    family,
    ...(path === undefined ? {} : { path }),
    ...(name === undefined ? {} : { name }),
    ...(address.address === undefined ? {} : { address: address.address as string }),
    ...(port === undefined ? {} : { port }),
    ...(covers === undefined ? {} : { covers }),
    outcomes: [OUTCOME_OF.get(ok) as LearnedEndpoint['outcomes'][number]],
  }
}
