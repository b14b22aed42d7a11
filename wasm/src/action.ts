import { SeccompError } from './error.ts'

/** What the kernel does with a syscall that a rule, or the default, catches. */
export type Action =
  | { readonly kind: 'allow' }
  /** The call fails with this errno, 0 to 4094. */
  | { readonly kind: 'errno'; readonly errno: number }
  | { readonly kind: 'killProcess' }
  | { readonly kind: 'killThread' }
  | { readonly kind: 'log' }
  | { readonly kind: 'trap' }
  /** A tracer gets this number, 0 to 65535, as its event message. */
  | { readonly kind: 'trace'; readonly data: number }
  | { readonly kind: 'notify' }

const within = (value: number, highest: number, what: string): number => {
  if (!Number.isInteger(value) || value < 0 || value > highest) {
    throw new SeccompError('RANGE', `cannot use ${what} ${value}, which must be an integer from 0 to ${highest}`)
  }
  return value
}

/** The action as SECCOMP_RET_* of linux/seccomp.h has it. */
export const encodeAction = (action: Action): number => {
  switch (action.kind) {
    case 'killProcess':
      return 0x80000000
    case 'killThread':
      return 0x00000000
    case 'trap':
      return 0x00030000
    case 'errno':
      // The kernel caps it at MAX_ERRNO (linux/err.h: 4095); libseccomp takes what is below that.
      return 0x00050000 | within(action.errno, 4094, 'errno')
    case 'notify':
      return 0x7fc00000
    case 'trace':
      return 0x7ff00000 | within(action.data, 0xffff, 'trace data')
    case 'log':
      return 0x7ffc0000
    case 'allow':
      return 0x7fff0000
    default:
      throw new SeccompError('UNKNOWN_ACTION', `cannot use the action ${JSON.stringify(action satisfies never)}`)
  }
}
