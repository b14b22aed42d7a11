/**
 * Writes to standard output and standard error. Not process.stdout: making that stream takes 8 ms in Bun, and what is written to a pipe
 * through it may be lost when the process ends.
 */
import { closeSync, writeSync } from 'node:fs'
import { errnoOf } from './files.ts'

function write(descriptor: number, text: string): void {
  let rest: Uint8Array = Buffer.from(text)
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(descriptor, rest))
    } catch (error) {
      // A descriptor that somebody made non-blocking and whose reader is slow: try again.
      if (errnoOf(error) === 'EAGAIN') continue
      // The reader is gone (oci-sandbox policy show | head): nothing is left to say to it.
      if (errnoOf(error) === 'EPIPE') return
      throw error
    }
  }
}

export function print(text: string): void {
  write(1, text)
}

/** Nothing more will be said: whoever reads either stream need not wait for our end. */
export function closeOutputs(): void {
  closeSync(1)
  closeSync(2)
}

export function printError(text: string): void {
  write(2, text)
}
