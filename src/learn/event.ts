/**
 * Whether a line of a record is what the tracer writes (tracer/README.md). A disk that lost power may hold anything: what is not sound
 * is damage, and must neither stop the reader nor get into a policy.
 */
import type { Run } from '../generated/policy.ts'
import { isObject, type Json } from '../json.ts'
import { ARGUMENT_BITS } from '../policy/document.ts'
import { isPathEvent } from './path-event.ts'

type Event = { readonly [key: string]: Json }

/** The schema's names (schema/policy.schema.json, run). */
export const BACKENDS: readonly Run['backend'][] = [
  'ebpf',
  'ptrace-adaptive',
  'ptrace-known',
  'ptrace-syscall',
  'ptrace-trace',
]
export const RUN_DETAILS: readonly Run['detail'][] = ['names', 'args', 'paths', 'events']

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/
const SHA256 = /^[0-9a-f]{64}$/
/** An argument's low 32 bits. */
const MAX_VALUE = 0xffff_ffff

export function isSound(event: Event): boolean {
  switch (event.event) {
    case 'hello':
      return isHello(event)
    case 'exec':
      return isText(event.exe)
    case 'program':
      return isText(event.exe) && typeof event.sha256 === 'string' && SHA256.test(event.sha256)
    case 'seen':
    case 'arguments-full':
      return isCall(event)
    case 'count':
      return isCall(event) && isCount(event.count)
    case 'arguments':
      return isCall(event) && isCombination(event)
    case 'finish':
      return isFinish(event)
    case 'events':
      return [event.written, event.dropped, event.failed].every(isCount)
    case 'file':
    case 'endpoint':
    case 'execute':
    case 'paths':
      return isPathEvent(event)
    default:
      return true
  }
}

function isHello({
  backend,
  detail,
  kernel,
  machine,
  pid,
  joining,
  tracerPid,
  tracerStart,
  bootId,
  started,
}: Event): boolean {
  return (
    BACKENDS.some((known) => known === backend) &&
    (detail === undefined || RUN_DETAILS.some((known) => known === detail)) &&
    isText(kernel, 256) &&
    isText(machine, 64) &&
    isCount(pid) &&
    (joining === undefined || isCount(joining)) &&
    isCount(tracerPid) &&
    isCount(tracerStart) &&
    isText(bootId) &&
    isTime(started)
  )
}

function isFinish(event: Event): boolean {
  const { ended, backend, counts, otherFilters, exit, complete, reason, calls, distinct, tasks, lost } = event
  return (
    isTime(ended) &&
    (backend === undefined || BACKENDS.some((known) => known === backend)) &&
    (counts === undefined || counts === 'exact' || counts === 'at-least') &&
    (otherFilters === undefined || typeof otherFilters === 'boolean') &&
    isExit(exit) &&
    typeof complete === 'boolean' &&
    isText(reason, 128) &&
    [calls, distinct, tasks].every(isCount) &&
    isObject(lost) &&
    [lost.tasks, lost.calls, lost.writes].every(isCount)
  )
}

function isExit(exit: Json | undefined): boolean {
  if (exit === undefined || exit === null) return true
  if (!isObject(exit) || Object.keys(exit).length !== 1) return false
  const { code, signal } = exit
  return code === undefined ? isCount(signal) && signal >= 1 && signal <= 64 : isCount(code) && code <= 255
}

function isCall({ arch, nr }: Event): boolean {
  return typeof arch === 'string' && Object.hasOwn(ARGUMENT_BITS, arch) && Number.isSafeInteger(nr)
}

function isCombination({ arguments: indexes, values }: Event): boolean {
  if (!Array.isArray(indexes) || !Array.isArray(values) || indexes.length === 0 || indexes.length !== values.length)
    return false
  const ascending = indexes.every(
    (index, place) => isCount(index) && index <= 5 && index > ((indexes[place - 1] as number) ?? -1),
  )
  return ascending && values.every((value) => isCount(value) && value <= MAX_VALUE)
}

function isText(value: Json | undefined, most = 8192): value is string {
  return typeof value === 'string' && value.length <= most
}

function isCount(value: Json | undefined): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

function isTime(value: Json | undefined): boolean {
  return typeof value === 'string' && TIME.test(value)
}
