/** Files that commands read, as they are named on the command line. */
import { readFileSync, statSync } from 'node:fs'
import { oneLine, SandboxError } from '../errors.ts'

/** More than this does not fit a JavaScript string with room to spare. Bytes. */
const MAX_SIZE = 256 * 1024 * 1024

/** The bytes of a file, or of standard input for "-". Throws INPUT_UNREADABLE. */
export function readInput(path: string): Buffer {
  const what = path === '-' ? 'standard input' : path
  let bytes: Buffer
  try {
    const size = path === '-' ? 0 : statSync(path).size
    if (size > MAX_SIZE) throw new Error(`it has ${size} bytes, more than ${MAX_SIZE}; give it in parts`)
    bytes = readFileSync(path === '-' ? 0 : path)
    if (bytes.length > MAX_SIZE) throw new Error(`it has more than ${MAX_SIZE} bytes; give it in parts`)
  } catch (error) {
    throw new SandboxError('INPUT_UNREADABLE', `cannot read ${what}: ${oneLine(error)}`, { cause: error })
  }
  return bytes
}
