/** Tracee's JSON events, one a line -> calls. Events that are no calls are counted; those that name the call they happened in are it. */
import { isObject, type Json, JsonError, parseJson } from '../../json.ts'
import { ARGUMENT_BITS, type ArchitectureName } from '../document.ts'
import type { Collector } from './collector.ts'
import { lines } from './lines.ts'

/** Tracee numbers its events: calls by their number on x86-64, and everything else far above. */
const FIRST_OTHER_EVENT = 600

/** __X32_SYSCALL_BIT of asm/unistd.h: the tracer leaves it out. */
const X32_BIT = 0x4000_0000

export interface TraceeOptions {
  readonly architecture: ArchitectureName
  /** Only events of processes with this name. */
  readonly comm?: string | undefined
}

/** Throws what `refuse` throws where a line is no event. */
export function readTracee(
  text: string,
  into: Collector,
  { architecture, comm }: TraceeOptions,
  refuse: (problem: string) => never,
): void {
  for (const { line, number, torn } of lines(text)) {
    if (line.trim() === '') continue
    const event = parse(line)
    if (event instanceof JsonError || !isObject(event)) {
      if (!torn) refuse(`line ${number}: ${event instanceof JsonError ? event.message : 'expected a JSON object'}`)
      into.note('a last line that is not whole', `line ${number}`)
      continue
    }
    if (typeof event.eventName !== 'string') refuse(`line ${number}: expected a Tracee event with eventName`)
    if (comm !== undefined && event.processName !== comm) continue
    addEvent(into, abiOf(event, architecture), event, `line ${number}`)
  }
}

/** Our own events (oci-sandbox events) say it; Tracee's only tell calls of a 32-bit ABI from others. */
function abiOf({ abi, contextFlags }: { [key: string]: Json }, architecture: ArchitectureName): ArchitectureName {
  if (typeof abi === 'string' && Object.hasOwn(ARGUMENT_BITS, abi)) return abi as ArchitectureName
  return isObject(contextFlags) && contextFlags.isCompat === true ? compatOf(architecture) : architecture
}

function addEvent(into: Collector, architecture: ArchitectureName, event: { [key: string]: Json }, at: string): void {
  const name = event.eventName as string
  const unnamed = name.match(/^syscall_(\d{1,9})$/)?.[1] // of ours: a call without a name
  if (unnamed !== undefined) {
    into.addNumber(architecture, Number(unnamed) + (architecture === 'x32' ? X32_BIT : 0), { count: 1 })
  } else if (name === 'sys_enter' || name === 'sys_exit') {
    // Both stand for one call: the entry, which also calls have that never return.
    if (name === 'sys_enter') addArgument(into, architecture, event.args, at)
  } else if (into.names.exists(name) || isCallId(event.eventId)) into.add(architecture, name, at, { count: 1 })
  else if (typeof event.syscall === 'string' && event.syscall !== '')
    into.add(architecture, event.syscall, at, { count: 1 })
  else into.note('events that are no system calls', name)
}

function isCallId(id: Json | undefined): boolean {
  const number = typeof id === 'string' && /^\d{1,9}$/.test(id) ? Number(id) : id
  return typeof number === 'number' && number >= 0 && number < FIRST_OTHER_EVENT
}

/** The call that an event sys_enter is about: its argument "syscall", a number or a name. */
function addArgument(into: Collector, architecture: ArchitectureName, args: Json | undefined, at: string): void {
  const found = Array.isArray(args)
    ? args.find((argument) => isObject(argument) && argument.name === 'syscall')
    : undefined
  const value = isObject(found) ? found.value : undefined
  if (typeof value === 'number') into.addNumber(architecture, value, { count: 1 })
  else if (typeof value === 'string') into.add(architecture, value, at, { count: 1 })
  else into.note('events sys_enter without their call', at)
}

function compatOf(architecture: ArchitectureName): ArchitectureName {
  return architecture === 'aarch64' || architecture === 'arm' ? 'arm' : 'x86'
}

function parse(line: string): Json | JsonError {
  try {
    return parseJson(line)
  } catch (error) {
    if (error instanceof JsonError) return error
    throw error
  }
}
