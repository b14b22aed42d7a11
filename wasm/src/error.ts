/** What went wrong; part of the API, unlike the messages. The names from EACCES to ESRCH are libseccomp's own answers. */
export type SeccompErrorCode =
  | 'E2BIG'
  | 'EACCES'
  | 'ECANCELED'
  | 'EDOM'
  | 'EEXIST'
  | 'EFAULT'
  | 'EINVAL'
  | 'ENOENT'
  | 'ENOMEM'
  | 'EOPNOTSUPP'
  | 'ERANGE'
  | 'ESRCH'
  | 'BAD_MODULE'
  | 'RANGE'
  | 'UNKNOWN_ACTION'
  | 'UNKNOWN_ARCH'
  | 'UNKNOWN_SYSCALL'
  | 'USE_AFTER_FREE'

/** What each code means and what to do about it: the second half of every message. */
const remedies: Readonly<Record<SeccompErrorCode, string>> = {
  E2BIG: 'the program needs more than 4096 instructions, the most that the kernel takes; use fewer rules or arguments',
  EACCES: "the rule's action is the filter's default action; leave the rule out",
  ECANCELED: 'the output could not be written',
  EDOM: 'not possible for this architecture (unknown there, or of another endianness); make a filter of its own for it',
  EEXIST: 'it is there already, with another action; remove one of the two',
  EFAULT: 'internal error of libseccomp; report it with the rules of this filter',
  EINVAL: 'libseccomp takes these arguments for invalid; an argument may be compared only once in a rule',
  ENOENT: 'there is no such entry',
  ENOMEM: 'memory is exhausted (the module may use 64 MiB); free filters that are no longer needed',
  EOPNOTSUPP: 'not supported here; exact rules need a filter with one architecture',
  ERANGE: 'the buffer is too small',
  ESRCH: 'internal error of libseccomp',
  BAD_MODULE: 'this is not the module that belongs to this version; pass the seccomp.wasm of this package',
  RANGE: 'the value is out of range',
  UNKNOWN_ACTION: 'no such action; see the type Action',
  UNKNOWN_ARCH: 'no such architecture; see archNames',
  UNKNOWN_SYSCALL: 'no such syscall; check the spelling, or pass its number to a filter with one architecture',
  USE_AFTER_FREE: 'the filter was freed or merged into another; make a new one',
}

const isCode = (code: string): code is SeccompErrorCode => Object.hasOwn(remedies, code)

/** Every error that this package throws by intent. */
export class SeccompError extends Error {
  override readonly name = 'SeccompError'
  readonly code: SeccompErrorCode

  /** @param attempt what could not be done, on which object: "cannot add ... to the filter for ..." */
  constructor(code: SeccompErrorCode, attempt: string, options?: ErrorOptions) {
    super(`${attempt}: ${code}: ${remedies[code]}`, options)
    this.code = code
  }

  /** The error for a name of errno.h; one that libseccomp does not document counts as EFAULT. */
  static fromErrno(name: string, attempt: string): SeccompError {
    return new SeccompError(isCode(name) ? name : 'EFAULT', attempt)
  }
}
