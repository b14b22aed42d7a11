/**
 * Values of arguments on one architecture -> the values that mean the same on another. Of the calls of arguments.ts; most values are the
 * same everywhere. Pure.
 */
import type { Comparison } from '../generated/policy.ts'
import { ARGUMENT_MASK } from './arguments.ts'
import type { ArchitectureName } from './document.ts'
import { narrowed, ofLowHalf } from './rules.ts'
import { decodeUint64, encodeUint64 } from './uint64.ts'

export interface Way {
  readonly from: ArchitectureName
  readonly to: ArchitectureName
}

type Values = readonly number[]

/** Flags of open that have another bit on ARM: x86's (asm-generic/fcntl.h), and those of arch/arm and arch/arm64, include/uapi/asm/fcntl.h. */
const OPEN_FLAGS: readonly (readonly [generic: number, arm: number])[] = [
  [0o40000, 0o200000], // O_DIRECT
  [0o100000, 0o400000], // O_LARGEFILE
  [0o200000, 0o40000], // O_DIRECTORY
  [0o400000, 0o100000], // O_NOFOLLOW
]
const PERMUTED = 0o740000

/** PROT_BTI and PROT_MTE of arch/arm64/include/uapi/asm/mman.h; the first one guards code, and the loader sets it where the program has it. */
const PROT_BTI = 0x10
const PROT_ARM = 0x30
/** asm-generic/mman-common.h. */
const PROT_EXEC = 4

/** F_GETLK, F_SETLK, F_SETLKW -> F_GETLK64, ... of asm-generic/fcntl.h, which 32-bit programs with 64-bit offsets use. */
const LOCKS: Readonly<Record<number, number>> = { 5: 12, 6: 13, 7: 14 }
/** IPC_64 of linux/ipc.h: programs of 32-bit x86 and ARM say it. */
const IPC_64 = 0x100
/** SO_RCVTIMEO, SO_SNDTIMEO, SO_TIMESTAMP, SO_TIMESTAMPNS, SO_TIMESTAMPING of asm-generic/socket.h -> those of 32-bit programs with 64-bit times. */
const SOCKET_TIMES: Readonly<Record<number, number>> = { 20: 66, 21: 67, 29: 63, 35: 64, 37: 65 }
const SOL_SOCKET = 1
/** Requests of ptrace that every architecture has (linux/ptrace.h); from 0x4200 on they are generic. */
const PTRACE = new Set([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 16, 17, 24])
const PTRACE_GENERIC = 0x4200
/** Commands of ioctl up to here have no size of a structure in them (asm-generic/ioctl.h). */
const SIZELESS = 0xffff

const isArm = (architecture: ArchitectureName) => architecture === 'arm' || architecture === 'aarch64'
/** x32 has structures of its own, but numbers and times as x86-64 has them. */
const isNarrow = (architecture: ArchitectureName) => architecture === 'x86' || architecture === 'arm'
const longBits = (architecture: ArchitectureName) => (architecture === 'x32' || isNarrow(architecture) ? 32 : 64)

const widthChanges = ({ from, to }: Way) => isNarrow(from) !== isNarrow(to)

const OPENS = new Set(['open', 'openat', 'open_by_handle_at'])
const PROTECTIONS = new Set(['mmap', 'mmap2', 'mprotect', 'pkey_mprotect'])
const CONTROLS = new Set(['msgctl', 'semctl', 'shmctl'])

/**
 * The combinations of values of a call's arguments that mean what this one means, each with as many values; none where it means something
 * else there. `indexes`: of the arguments on the architecture that it is from.
 */
export function carryValues(call: string, indexes: Values, values: Values, way: Way): Values[] {
  let combinations: Values[] = [values]
  for (const [place, index] of indexes.entries()) {
    const choices = choicesOf(call, index, values[place] as number, way, levelOf(call, indexes, values))
    combinations = combinations.flatMap((combination) => choices.map((value) => combination.with(place, value)))
  }
  return combinations
}

/** The level of a socket's option, which says what the option means. */
function levelOf(call: string, indexes: Values, values: Values): number | undefined {
  return call === 'getsockopt' || call === 'setsockopt' ? values[indexes.indexOf(1)] : undefined
}

function choicesOf(call: string, index: number, value: number, way: Way, level: number | undefined): Values {
  if (OPENS.has(call)) return openChoices(value, way)
  if (PROTECTIONS.has(call)) return protectionChoices(value, way)
  if (call === 'ptrace') return sameMeaning(call, way) ? [value] : generic(value)
  if (call === 'ioctl') return sameMeaning(call, way) || value <= SIZELESS ? [value] : []
  if (!widthChanges(way)) return [value]
  if (call === 'fcntl' || call === 'fcntl64') return timesChoices(value, LOCKS, way)
  if (CONTROLS.has(call)) return isNarrow(way.to) ? [value, value | IPC_64] : [value & ~IPC_64]
  if (index === 2 && level === SOL_SOCKET) return timesChoices(value, SOCKET_TIMES, way)
  return [value]
}

function generic(request: number): Values {
  return PTRACE.has(request) || request >= PTRACE_GENERIC ? [request] : []
}

/** A number that 32-bit programs have twice. */
function timesChoices(value: number, table: Readonly<Record<number, number>>, { to }: Way): Values {
  if (isNarrow(to)) return table[value] === undefined ? [value] : [value, table[value]]
  const wide = Object.keys(table).find((key) => table[Number(key)] === value)
  return [wide === undefined ? value : Number(wide)]
}

/** 32-bit programs set O_LARGEFILE, and so do those of some C libraries everywhere: where the width changes, it may be there or not. */
function openChoices(value: number, way: Way): Values {
  const flags = openFlags(value, way)
  const large = largeFile(way.to)
  return widthChanges(way) ? [(flags & ~large) >>> 0, (flags | large) >>> 0] : [flags]
}

function openFlags(value: number, { from, to }: Way): number {
  if (isArm(from) === isArm(to)) return value
  const [own, other] = isArm(from) ? ([1, 0] as const) : ([0, 1] as const)
  const moved = OPEN_FLAGS.reduce((bits, pair) => ((value & pair[own]) === 0 ? bits : bits | pair[other]), 0)
  return ((value & ~PERMUTED) | moved) >>> 0
}

function largeFile(architecture: ArchitectureName): number {
  const [generic, arm] = OPEN_FLAGS[1] as readonly [number, number]
  return isArm(architecture) ? arm : generic
}

function protectionChoices(value: number, { to, from }: Way): Values {
  const plain = from === 'aarch64' && to !== 'aarch64' ? (value & ~PROT_ARM) >>> 0 : value
  return to === 'aarch64' && from !== 'aarch64' && (plain & PROT_EXEC) !== 0 ? [plain, plain | PROT_BTI] : [plain]
}

/** Alternatives that say there what a comparison says here; undefined where nothing does. `known`: the argument is one of arguments.ts. */
export function carryComparison(
  call: string,
  comparison: Comparison,
  known: boolean,
  way: Way,
): Comparison[] | undefined {
  const carried = known ? carryMeaning(call, comparison, way) : [comparison]
  const fitted = carried?.flatMap((one) => fit(one, way) ?? [])
  return fitted === undefined || fitted.length === 0 ? undefined : fitted
}

function carryMeaning(call: string, comparison: Comparison, way: Way): Comparison[] | undefined {
  const { index, op } = comparison
  if (OPENS.has(call))
    return carryBits(comparison, widthChanges(way) ? largeFile(way.to) : 0, (bits) => openFlags(bits, way))
  if (PROTECTIONS.has(call)) {
    if ((way.from === 'aarch64') === (way.to === 'aarch64')) return [comparison]
    const guard = way.to === 'aarch64' ? PROT_BTI : PROT_ARM
    return carryBits(comparison, guard, (bits) => bits)
  }
  const value = exactValue(comparison)
  // Where every value means the same, ranges and bits do as well.
  if (value === undefined) return sameMeaning(call, way) ? [comparison] : undefined
  const choices = choicesOf(call, index, value, way, SOL_SOCKET)
  if (choices.length === 1 && choices[0] === value) return [comparison]
  return op === '==' || op === 'masked=='
    ? choices.map((choice) => ({ index, op: 'masked==', value: choice, mask: ARGUMENT_MASK }))
    : undefined
}

/** Calls of which some values change with the width. */
const CHANGING = new Set(['fcntl', 'fcntl64', 'getsockopt', 'setsockopt', ...CONTROLS])

/** Whether every value of the call's arguments means the same. */
function sameMeaning(call: string, way: Way): boolean {
  if (call === 'ptrace') return isArm(way.from) === isArm(way.to) && !widthChanges(way)
  if (call === 'ioctl') return longBits(way.from) === longBits(way.to)
  return !CHANGING.has(call) || !widthChanges(way)
}

/** The one value of the low 32 bits that satisfies it; undefined where that is not so. */
function exactValue({ op, value, mask }: Comparison): number | undefined {
  const operand = decodeUint64(value)
  const whole = op === '==' || (op === 'masked==' && decodeUint64(mask ?? 0) === BigInt(ARGUMENT_MASK))
  return whole && operand <= BigInt(ARGUMENT_MASK) ? Number(operand) : undefined
}

/** A comparison of bits, each of which may have another place; `loose`: bits there that do not matter. */
function carryBits(comparison: Comparison, loose: number, move: (bits: number) => number): Comparison[] | undefined {
  const { index, op } = comparison
  if (op !== '==' && op !== 'masked==') return undefined
  const mask = op === '==' ? (1n << 64n) - 1n : decodeUint64(comparison.mask ?? 0)
  const low = (number: bigint) => Number(number & BigInt(ARGUMENT_MASK))
  const kept = (number: bigint) => (number & ~BigInt(ARGUMENT_MASK)) | BigInt((move(low(number)) & ~loose) >>> 0)
  const [value, looked] = [kept(decodeUint64(comparison.value)), kept(mask)]
  if (op === '==' && loose === 0) return [{ index, op, value: encodeUint64(value) }]
  return [{ index, op: 'masked==', value: encodeUint64(value), mask: encodeUint64(looked) }]
}

/** The comparison with the width of the other architecture's registers: alternatives; undefined where it cannot hold, or be said, there. */
function fit(comparison: Comparison, { from, to }: Way): Comparison[] | undefined {
  if (isNarrow(from) && !isNarrow(to)) return ofLowHalf(comparison)
  if (longBits(to) === 64) return [comparison]
  // A register of x32 has 64 bits, but its rules have values of 32.
  const small = isNarrow(to) ? narrowed(comparison) : comparison
  const numbers = [small.value, small.to ?? 0, small.mask ?? 0]
  return numbers.every((number) => decodeUint64(number) <= BigInt(ARGUMENT_MASK)) ? [small] : undefined
}
