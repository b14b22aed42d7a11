/** How far a run that goes on has come, as its tracer shows it (tracer/learn/live.h). */
import { closeSync, openSync, readdirSync, readlinkSync, readSync } from 'node:fs'
import type { Hello } from './stream.ts'

/** LIVE_NAME of tracer/learn/live.h, as /proc shows a memfd (proc(5), fd). */
const LINK = '/memfd:oci-sandbox-live (deleted)'
/** struct live: four numbers of 64 bits. */
const SIZE = 32

export interface Progress {
  readonly calls: number
  /** Calls and tasks. */
  readonly lost: number
  /** Seconds of the monotonic clock at which these numbers held. */
  readonly time: number
  /** Some calls pass uncounted: `calls` says little. */
  readonly partial: boolean
}

/** Undefined where the tracer has ended, or may not be looked at. The caller has made sure that it is the one that wrote `hello`. */
export function progressOf({ tracerPid }: Hello): Progress | undefined {
  const descriptors = `/proc/${tracerPid}/fd`
  try {
    const name = readdirSync(descriptors).find((fd) => readlinkSync(`${descriptors}/${fd}`) === LINK)
    if (name === undefined) return undefined
    const descriptor = openSync(`${descriptors}/${name}`, 'r')
    try {
      const bytes = Buffer.alloc(SIZE)
      if (readSync(descriptor, bytes, 0, SIZE, 0) !== SIZE) return undefined
      const [calls, lost, updated, partial] = [0, 8, 16, 24].map((at) => Number(bytes.readBigUInt64LE(at)))
      const nanoseconds = updated === 0 ? Number(process.hrtime.bigint()) : (updated as number)
      return { calls: calls as number, lost: lost as number, time: nanoseconds / 1e9, partial: partial !== 0 }
    } finally {
      closeSync(descriptor)
    }
  } catch {
    return undefined // it ended meanwhile
  }
}

/** Calls per second between two looks at one run; undefined where they do not say. */
export function rateBetween(earlier: Progress | undefined, later: Progress | undefined): number | undefined {
  if (earlier === undefined || later === undefined || later.partial || later.time <= earlier.time) return undefined
  return Math.max(0, Math.round((later.calls - earlier.calls) / (later.time - earlier.time)))
}
