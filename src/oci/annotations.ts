/** The annotations under io.sandbox.: the contract with users, and untrusted input. */
import { SandboxError } from '../errors.ts'
import { isPolicyName, NAME_RULE } from '../policy/name.ts'

export const MODES = ['learn', 'enforce'] as const
export const ACTIONS = ['errno', 'kill', 'log'] as const
export const DETAILS = ['names', 'args', 'paths', 'events'] as const

export type Mode = (typeof MODES)[number]
export type ViolationAction = (typeof ACTIONS)[number]
export type Detail = (typeof DETAILS)[number]

export interface Request {
  readonly mode: Mode
  readonly policy?: string
  readonly detail?: Detail
  readonly action?: ViolationAction
}

/** Every key that begins like this is our own. */
export const PREFIX = 'io.sandbox.'
/**
 * Whom crun hands a container to (crun(1), "run.oci.handler", and its WebAssembly handlers): that one runs the program in the runtime's own
 * process, or in a virtual machine, and makes no execve from which on a policy could be in force.
 */
export const HANDLER_KEYS: readonly string[] = ['module.wasm.image/variant', 'run.oci.handler']
/** How much learning records. */
export const DETAIL = `${PREFIX}detail`

/**
 * What a container asks for, or undefined where it has no annotation of ours. Where io.sandbox.mode is missing beside others it is
 * `otherwise`. Throws ANNOTATION_INVALID for an unknown key or value and where there is no mode at all: a typing error must not start
 * a container without its sandbox.
 */
export function decodeAnnotations(
  annotations: Readonly<Record<string, string>>,
  otherwise?: Mode,
): Request | undefined {
  const ours = Object.entries(annotations).filter(([key]) => key.startsWith(PREFIX))
  if (ours.length === 0) return undefined
  const decoded: { mode?: Mode; policy?: string; detail?: Detail; action?: ViolationAction } = {}
  for (const [key, value] of ours) {
    switch (key.slice(PREFIX.length)) {
      case 'mode':
        decoded.mode = oneOf(MODES, key, value)
        break
      case 'detail':
        decoded.detail = oneOf(DETAILS, key, value)
        break
      case 'action':
        decoded.action = oneOf(ACTIONS, key, value)
        break
      case 'policy':
        if (!isPolicyName(value))
          throw invalid(`annotation ${key}=${JSON.stringify(value)}: a policy's name is ${NAME_RULE}`)
        decoded.policy = value
        break
      default:
        throw invalid(`annotation ${key} is not known; known are ${PREFIX}mode, policy, detail and action`)
    }
  }
  const { mode = otherwise, ...rest } = decoded
  if (mode === undefined)
    throw invalid(`annotation ${ours[0]?.[0]} without ${PREFIX}mode; set it to ${MODES.join(' or ')}`)
  return { mode, ...rest }
}

function oneOf<T extends string>(values: readonly T[], key: string, value: string): T {
  const found = values.find((known) => known === value)
  if (found === undefined) throw invalid(`annotation ${key}=${JSON.stringify(value)}: expected ${values.join(' or ')}`)
  return found
}

function invalid(message: string): SandboxError {
  return new SandboxError('ANNOTATION_INVALID', message)
}
