/** How a program ended. */

export interface Result {
  readonly exitCode: number | undefined
  readonly stdout: string
  readonly stderr: string
}

/** Of all that execa says, what a test compares. */
export function resultOf({
  exitCode,
  stdout,
  stderr,
}: {
  exitCode?: number
  stdout?: unknown
  stderr?: unknown
}): Result {
  return { exitCode, stdout: String(stdout), stderr: String(stderr) }
}
