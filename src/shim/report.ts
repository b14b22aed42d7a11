/** Errors go where the caller looks for them: containerd, Docker and podman read the --log file, people see standard error. */
import { closeSync, constants, openSync, writeSync } from 'node:fs'
import { oneLine, type SandboxError } from '../errors.ts'
import { printError } from '../host/output.ts'

export interface Place {
  readonly log?: string
  readonly logFormat?: string
}

/** Never throws: an error that cannot be written to the log is still on standard error. */
export function report(error: SandboxError, { log, logFormat }: Place): void {
  const message = `oci-sandbox: ${withoutMisleading(oneLine(error))} [${error.code}]`
  printError(`${message}\n`)
  if (log === undefined) return
  try {
    const flags = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT
    const descriptor = openSync(log, flags, 0o644)
    try {
      writeSync(descriptor, `${line(message, logFormat, new Date().toISOString())}\n`)
    } finally {
      closeSync(descriptor)
    }
  } catch {
    // As said.
  }
}

/** As the runtimes write it themselves (logrus). */
function line(msg: string, format: string | undefined, time: string): string {
  if (format === 'json') return JSON.stringify({ level: 'error', msg, time })
  return `time=${JSON.stringify(time)} level=error msg=${JSON.stringify(msg)}`
}

/** podman takes these words for a program that is not in the image, and ends with exit code 127. */
function withoutMisleading(message: string): string {
  return message.replace(/no such file or directory/gi, 'it is not there')
}
