/**
 * The one error class, with a closed set of codes. Codes are API (docs/errors.md has an entry for each: cause, effect on the
 * container, remedy); prose may change.
 */
export type ErrorCode =
  | 'USAGE'
  | 'HOST_CONFIG_INVALID'
  | 'STATE_INVALID'
  | 'BUNDLE_INVALID'
  | 'ANNOTATION_INVALID'
  | 'NOT_PERMITTED'
  | 'POLICY_UNNAMED'
  | 'POLICY_NOT_FOUND'
  | 'POLICY_INVALID'
  | 'POLICY_EMPTY'
  | 'STORE_UNSAFE'
  | 'STORE_FAILED'
  | 'FILTER_FAILED'
  | 'FILTER_TOO_LARGE'
  | 'FILTER_INVALID'
  | 'FILTER_UNPROVED'
  | 'TRACER_FAILED'
  | 'EXPORT_IMPOSSIBLE'
  | 'RUNTIME_FAILED'
  | 'CONTAINER_EXISTS'
  | 'SETUP_REFUSED'
  | 'IMPORT_INVALID'
  | 'INPUT_UNREADABLE'
  | 'INTERNAL'

export class SandboxError extends Error {
  readonly code: ErrorCode

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'SandboxError'
    this.code = code
  }
}

/** What went wrong, in one line, whoever threw it. */
export function oneLine(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error)
  return text.replace(/\s*\n\s*/g, ' ').trim()
}

/** An error of any kind as a SandboxError; what is not one already is a defect of ours or of the host: INTERNAL. */
export function asSandboxError(error: unknown): SandboxError {
  if (error instanceof SandboxError) return error
  return new SandboxError('INTERNAL', `unexpected: ${oneLine(error)}`, { cause: error })
}
