/** The tracer's record of a run (tracer/README.md, protocol 1): NDJSON text -> Trace. Pure. */
import type { LearnedArguments, Run } from '../generated/policy.ts'
import { isObject, type Json, JsonError, parseJson } from '../json.ts'
import { isSound } from './event.ts'
import { addPathEvent, type TracedPaths } from './path-event.ts'

/** The version of the tracer's protocol that is understood here. */
export const PROTOCOL = 1

export interface Call {
  readonly arch: string
  readonly nr: number
  readonly count: number
  /** Where arguments of this call are recorded: what was seen of them, or `any`. */
  readonly learned?: LearnedArguments | 'any'
}

export interface Hello {
  /** How the tracer watched: the schema's names. */
  readonly backend: Run['backend']
  readonly detail?: Run['detail']
  readonly kernel: string
  readonly machine: string
  /** The container's init; with `joining`, the runtime that starts a program in the container. */
  readonly pid: number
  readonly joining?: number
  readonly tracerPid: number
  readonly tracerStart: number
  readonly bootId: string
  readonly started: string
}

/** Calls of one ABI that were not watched, as earlier runs had seen them. */
export interface KnownCalls {
  readonly arch: string
  readonly numbers: readonly number[]
}

export interface Finish {
  readonly ended: string
  /** How the tracer watched in fact; absent: as it said in the beginning. */
  readonly backend?: Run['backend']
  readonly counts?: 'exact' | 'at-least'
  readonly otherFilters?: boolean
  readonly exit?: { code: number } | { signal: number } | null
  readonly complete: boolean
  readonly reason: string
  readonly calls: number
  readonly distinct: number
  readonly tasks: number
  readonly lost: { readonly tasks: number; readonly calls: number; readonly writes: number }
}

/** Events that were written, how many of them went again to make room, and how many could not be written. */
export interface EventCounts {
  readonly written: number
  readonly dropped: number
  readonly failed: number
}

export interface Trace {
  readonly hello?: Hello
  readonly program?: { readonly path: string; readonly sha256?: string }
  /** What was seen, each (arch, nr) once. In a record without an end the counts are only known to be at least 1. */
  readonly calls: readonly Call[]
  readonly known: readonly KnownCalls[]
  /** With the detail `paths`. */
  readonly paths?: TracedPaths
  /** With the detail `events`, at the end. */
  readonly events?: EventCounts
  /** The container's init has ended, while others of its processes live on. */
  readonly initEnded?: boolean
  /** Absent: the tracer did not live to the end of the run. */
  readonly finish?: Finish
  /** Why the record cannot be trusted to be whole, though it has an end. */
  readonly damage?: string
}

/**
 * Decodes a record. It may end anywhere (the tracer may have been killed), so what cannot be read is not an error: everything up to
 * there is kept, and the trace says so.
 */
export function decodeStream(text: string): Trace {
  const calls = new Map<string, Call>()
  const known: KnownCalls[] = []
  const trace: { -readonly [K in keyof Trace]?: Trace[K] } = {}
  const lines = text.split('\n')
  // The part after the last newline is empty, or a line that was being written when the tracer died.
  const torn = lines.pop() !== ''
  for (const [index, line] of lines.entries()) {
    const event = parseLine(line)
    if (event === undefined) {
      trace.damage = `line ${index + 1} of the record is damaged`
      continue
    }
    switch (event.event) {
      case 'hello':
        if (event.protocol !== PROTOCOL) trace.damage = `protocol ${String(event.protocol)} is not known`
        else trace.hello = event as unknown as Hello
        if (event.detail === 'paths' || event.detail === 'events')
          trace.paths ??= { files: [], endpoints: [], programs: [] }
        break
      case 'exec':
        trace.program = { path: String(event.exe) }
        break
      case 'program':
        trace.program = { path: String(event.exe), sha256: String(event.sha256) }
        break
      case 'seen':
        addCall(calls, event, 1)
        break
      case 'count':
        addCall(calls, event, Number(event.count))
        break
      case 'known':
        if (isKnownCalls(event)) known.push(event)
        else trace.damage = `line ${index + 1} of the record is damaged`
        break
      case 'arguments':
        addArguments(calls, event)
        break
      case 'arguments-full':
        addCall(calls, event, 0, 'any')
        break
      case 'file':
      case 'endpoint':
      case 'execute':
      case 'paths':
        if (trace.paths !== undefined) addPathEvent(trace.paths, event)
        break
      case 'events':
        trace.events = event as unknown as EventCounts
        break
      case 'init-exit':
        trace.initEnded = true
        break
      case 'finish':
        trace.finish = event as unknown as Finish
        break
    }
  }
  if (torn) trace.damage ??= 'the last line of the record is torn'
  const { finish } = trace
  if (finish !== undefined && finish.distinct !== calls.size) {
    trace.damage ??= `the record says that it holds ${finish.distinct} calls, but it holds ${calls.size}`
  }
  return { ...trace, calls: [...calls.values()], known }
}

function isKnownCalls(event: unknown): event is KnownCalls {
  const { arch, numbers } = event as Partial<KnownCalls>
  return typeof arch === 'string' && Array.isArray(numbers) && numbers.every(Number.isInteger)
}

type Event = { readonly [key: string]: Json }

function addCall(calls: Map<string, Call>, event: Event, count: number, learned?: Call['learned']): void {
  const { arch, nr } = event
  if (typeof arch !== 'string' || typeof nr !== 'number') return
  const key = `${arch} ${nr}`
  const known = calls.get(key)
  const all = learned ?? known?.learned
  calls.set(key, {
    arch,
    nr,
    count: Math.max(count, known?.count ?? 0),
    ...(all === undefined ? {} : { learned: all }),
  })
}

/** The line of a combination comes before the call's first sight, so that a torn record never has a call without its arguments. */
function addArguments(calls: Map<string, Call>, event: Event): void {
  const { arch, nr, arguments: indexes, values } = event
  if (!isNumbers(indexes) || !isNumbers(values)) return
  const known = calls.get(`${arch} ${nr}`)?.learned
  if (known === undefined) addCall(calls, event, 0, { arguments: indexes, values: [values] })
  // A combination of other arguments is none that could be compared with these.
  else if (known !== 'any' && known.arguments.join() !== indexes.join()) addCall(calls, event, 0, 'any')
  else if (known !== 'any') known.values.push(values)
}

function isNumbers(value: Json | undefined): value is number[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'number')
}

function parseLine(line: string): { [key: string]: Json } | undefined {
  try {
    const value = parseJson(line)
    return isObject(value) && isSound(value) ? value : undefined
  } catch (error) {
    if (error instanceof JsonError) return undefined
    throw error
  }
}
