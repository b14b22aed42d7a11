/** By what a file is known again without being read: whoever writes to it, or puts another in its place, changes at least one of these. */
import { type BigIntStats, fstatSync, statSync } from 'node:fs'

/** Decimal: device, inode, bytes, and the times of the last changes of its content and of its inode in nanoseconds since 1970. */
export interface Identity {
  readonly text: string
  /** Whether a change that comes from now on changes the identity for certain. */
  readonly settled: boolean
}

/**
 * A write leaves the time of the kernel's last tick (10 ms at most), so that two writes in one tick may leave the same one. What changed less
 * than a few ticks ago may change again unseen. Nanoseconds.
 */
const TICKS = 50_000_000n
/** The same where the file system keeps no fractions of a second: FAT has the longest, of 2 s. */
const COARSE = 2_500_000_000n
/** How a time looks that is kept that coarsely: a whole number of these. */
const COARSE_UNIT = 10_000_000n

/** Of an open file, or of a path, where a symbolic link is followed. */
export function identityOf(file: number | string): Identity {
  // Before we look: what happens between the two must not count as time that has passed since.
  const now = BigInt(Date.now()) * 1_000_000n
  const stats: BigIntStats =
    typeof file === 'number' ? fstatSync(file, { bigint: true }) : statSync(file, { bigint: true })
  const { dev, ino, size, mtimeNs, ctimeNs } = stats
  const wait = ctimeNs % COARSE_UNIT === 0n ? COARSE : TICKS
  return { text: [dev, ino, size, mtimeNs, ctimeNs].join(' '), settled: now - ctimeNs > wait }
}
