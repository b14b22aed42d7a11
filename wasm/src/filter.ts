import { type Action, encodeAction } from './action.ts'
import { type Arch, architectures, isArch } from './arch.ts'
import { type Comparison, writeComparisons } from './comparison.ts'
import { SeccompError } from './error.ts'
import type { Library } from './library.ts'

export type FilterOptions = {
  /** For every syscall that no rule catches. */
  readonly defaultAction: Action
  /** For calls by another architecture than those of the filter (killProcess). */
  readonly badArchAction?: Action
  /** At least one. All of them must have the same endianness. Numbers of syscalls are those of the first. */
  readonly architectures: readonly Arch[]
  /** 1: rules in the order of their priority; 2: a binary tree, for many syscalls without priorities (1). */
  readonly optimize?: 1 | 2
}

/** enum scmp_filter_attr of seccomp.h */
const attribute = { badArchAction: 2, optimize: 8 } as const

/** __NR_SCMP_ERROR of seccomp.h */
const unknownNumber = -1

/** The highest number that fits into libseccomp's int. */
const maxNumber = 0x7fffffff

const isNumber = (number: number): boolean => Number.isInteger(number) && number >= 0 && number <= maxNumber

const isPriority = (priority: number): boolean => Number.isInteger(priority) && priority >= 0 && priority <= 255

/**
 * A filter being built. It lives in the module's memory: call free(), or declare it with `using`, or that memory is never
 * given back. A rule that cannot be added leaves the filter as it was.
 */
export class Filter {
  readonly #library: Library
  readonly #architectures: Arch[]
  /** The address of libseccomp's filter; 0 once it is freed. */
  #context: number

  /** Use Seccomp.filter(). */
  constructor(library: Library, options: FilterOptions) {
    const { defaultAction, badArchAction = { kind: 'killProcess' }, optimize = 1 } = options
    this.#library = library
    this.#architectures = [...options.architectures]
    const unknown = this.#architectures.find((arch) => !isArch(arch))
    const [first, ...more] = this.#architectures
    if (first === undefined || unknown !== undefined) {
      throw new SeccompError('UNKNOWN_ARCH', `cannot make a filter for ${JSON.stringify(unknown ?? [])}`)
    }
    const action = encodeAction(defaultAction)
    const badArch = encodeAction(badArchAction)
    const { exports } = library
    this.#context = exports.glue_filter_new(architectures[first].token, action)
    if (this.#context === 0) throw new SeccompError('ENOMEM', `cannot make ${this.#name()}`)
    try {
      for (const arch of more) {
        this.#expect(exports.seccomp_arch_add(this.#context, architectures[arch].token), `add ${arch} to`)
      }
      this.#expect(exports.seccomp_attr_set(this.#context, attribute.badArchAction, badArch), 'set badArchAction of')
      this.#expect(exports.seccomp_attr_set(this.#context, attribute.optimize, optimize), 'set optimize of')
    } catch (error) {
      this.free()
      throw error
    }
  }

  /** Those that it was made for, then those merged into it. */
  get architectures(): readonly Arch[] {
    return [...this.#architectures]
  }

  /**
   * Adds a rule. A name stands for the call in every architecture of the filter, by whatever way that one makes it: on x86
   * `socket` catches both socket() and socketcall(SYS_SOCKET, ...). An architecture without that call gets no rule. A
   * number is one of the first architecture; with a single architecture it needs no name.
   * @throws SeccompError UNKNOWN_SYSCALL, RANGE, EACCES (the action is the default action), EEXIST (the same condition with
   *   another action), EINVAL, ENOMEM, UNKNOWN_ACTION, USE_AFTER_FREE
   */
  add(action: Action, syscall: string | number, comparisons: readonly Comparison[] = []): this {
    return this.#add(action, syscall, comparisons, false)
  }

  /**
   * As add(), but throws where the rule could not be expressed literally: EDOM for a call that the architecture does not
   * have, EINVAL for arguments of a call that goes through another. Needs a filter with one architecture (EOPNOTSUPP).
   */
  addExact(action: Action, syscall: string | number, comparisons: readonly Comparison[] = []): this {
    return this.#add(action, syscall, comparisons, true)
  }

  /**
   * Adds a rule for each of many calls of the filter's only architecture, whatever their arguments: a number and a priority, as addExact()
   * and priority() take them, but much faster. Where one of them throws, none is added.
   * @throws SeccompError as addExact() and priority()
   */
  addCalls(action: Action, calls: readonly (readonly [number: number, priority: number])[]): this {
    const attempt = () => `cannot add rules (${action.kind}) for ${calls.length} calls to ${this.#name()}`
    const context = this.#live(attempt)
    const code = encodeAction(action)
    const { exports } = this.#library
    const buffer = exports.malloc(8 * calls.length)
    if (buffer === 0) throw new SeccompError('ENOMEM', attempt())
    try {
      // Memory moves when it grows: not before all is written.
      const words = new Int32Array(exports.memory.buffer, buffer, 2 * calls.length)
      let at = 0
      for (const [number, priority] of calls) {
        if (!isNumber(number) || !isPriority(priority)) throw new SeccompError('RANGE', attempt())
        words[at++] = number
        words[at++] = priority
      }
      this.#library.expect(exports.glue_rules_add(context, this.#token(), code, buffer, calls.length), attempt)
    } finally {
      exports.free(buffer)
    }
    return this
  }

  /** Lets a syscall's rules come earlier in the program: 255 first, 0 last. Needs no rule to be there yet. */
  priority(syscall: string | number, priority: number): this {
    const attempt = () => `cannot set the priority of ${JSON.stringify(syscall)} in ${this.#name()} to ${priority}`
    const context = this.#live(attempt)
    if (!isPriority(priority)) throw new SeccompError('RANGE', attempt())
    const number = this.#number(syscall, attempt)
    this.#library.expect(this.#library.exports.glue_priority(context, this.#token(), number, priority), attempt)
    return this
  }

  /**
   * Moves the other filter's architectures and rules into this one; the other one is then gone. Both must have the same
   * default action (EINVAL) and endianness (EDOM), and no architecture in common (EEXIST).
   */
  merge(other: Filter): this {
    const attempt = () => `cannot merge ${other.#name()} into ${this.#name()}`
    const [into, from] = [this.#live(attempt), other.#live(attempt)]
    if (this.#library !== other.#library) throw new SeccompError('EINVAL', `${attempt()}, which another module holds`)
    this.#library.expect(this.#library.exports.glue_merge(into, from), attempt)
    this.#architectures.push(...other.#architectures)
    // libseccomp has freed it.
    other.#context = 0
    return this
  }

  /**
   * The program: struct sock_filter[] of linux/filter.h, 8 bytes each, in the byte order of the filter's architectures.
   * @throws SeccompError E2BIG when it would have more than 4096 instructions
   */
  toBPF(): Uint8Array<ArrayBuffer> {
    const attempt = () => `cannot export ${this.#name()}`
    const context = this.#live(attempt)
    const { exports } = this.#library
    const length = this.#library.expect(exports.glue_export_bpf(context, 0, 0), attempt)
    const buffer = exports.malloc(length)
    if (buffer === 0) throw new SeccompError('ENOMEM', attempt())
    try {
      const written = this.#library.expect(exports.glue_export_bpf(context, buffer, length), attempt)
      return this.#library.bytes(buffer, written)
    } finally {
      exports.free(buffer)
    }
  }

  /** The filter as libseccomp's pseudo filter code, for people. */
  toPFC(): string {
    const attempt = () => `cannot export ${this.#name()} as pseudo filter code`
    const context = this.#live(attempt)
    return this.#library.captured(() => {
      this.#library.expect(this.#library.exports.seccomp_export_pfc(context, 1), attempt)
    })
  }

  /** Gives its memory back. Everything else throws USE_AFTER_FREE from then on; a second free() does nothing. */
  free(): void {
    if (this.#context !== 0) this.#library.exports.seccomp_release(this.#context)
    this.#context = 0
  }

  [Symbol.dispose](): void {
    this.free()
  }

  #add(action: Action, syscall: string | number, comparisons: readonly Comparison[], exact: boolean): this {
    const attempt = () => `cannot add a rule (${action.kind}) for ${JSON.stringify(syscall)} to ${this.#name()}`
    const context = this.#live(attempt)
    const code = encodeAction(action)
    const number = this.#number(syscall, attempt)
    const { scratch, view, exports } = this.#library
    const narrow = comparisons.length > 0 && this.#architectures.some((arch) => architectures[arch].bits === 32)
    // The name in scratch is no longer needed: the comparisons take its place, and stay there during the call.
    writeComparisons(view, scratch, comparisons, narrow ? 32 : 64, attempt)
    const result = exports.glue_rule_add(context, this.#token(), exact ? 1 : 0, code, number, comparisons.length)
    this.#library.expect(result, attempt)
    return this
  }

  /** The syscall's number as libseccomp's calls want it: for some names a negative one, which stands for the name. */
  #number(syscall: string | number, attempt: () => string): number {
    const { exports } = this.#library
    if (typeof syscall === 'string') {
      const number = this.#library.putName(syscall) ? exports.glue_rule_number(this.#token()) : unknownNumber
      if (number === unknownNumber) throw new SeccompError('UNKNOWN_SYSCALL', attempt())
      return number
    }
    if (!isNumber(syscall)) throw new SeccompError('RANGE', attempt())
    // libseccomp translates between architectures by name.
    if (this.#architectures.length > 1 && exports.glue_resolve_number(this.#token(), syscall) === 0) {
      throw new SeccompError('UNKNOWN_SYSCALL', attempt())
    }
    return syscall
  }

  #token(): number {
    return architectures[this.#architectures[0] as Arch].token
  }

  #live(attempt: () => string): number {
    if (this.#context === 0) throw new SeccompError('USE_AFTER_FREE', attempt())
    return this.#context
  }

  #expect(result: number, what: string): void {
    this.#library.expect(result, () => `cannot ${what} ${this.#name()}`)
  }

  #name(): string {
    return `the filter for ${this.#architectures.join(', ')}`
  }
}
