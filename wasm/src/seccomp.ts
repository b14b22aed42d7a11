import { type Arch, architectures, isArch } from './arch.ts'
import { SeccompError } from './error.ts'
import { Filter, type FilterOptions } from './filter.ts'
import type { Library } from './library.ts'

/** libseccomp, loaded. Use load() or loadSync(). */
export class Seccomp {
  /** libseccomp's version: `2.6.0`. */
  readonly version: string
  readonly #library: Library
  readonly #tables = new Map<Arch, ReadonlyMap<string, number>>()

  constructor(library: Library) {
    this.#library = library
    const { version } = library
    this.version = `${version >>> 16}.${(version >>> 8) & 0xff}.${version & 0xff}`
  }

  /** A new, empty filter. It must be freed; see Filter. */
  filter(options: FilterOptions): Filter {
    return new Filter(this.#library, options)
  }

  /**
   * The number by which an architecture's kernel knows a syscall; undefined when it has no such call. Never one of
   * libseccomp's negative pseudo numbers: on x86 `socket` is 359, though it can also be made through socketcall. x32's
   * numbers have bit 30 set.
   */
  resolveName(arch: Arch, name: string): number | undefined {
    const token = tokenOf(arch, name)
    const number = this.#library.putName(name) ? this.#library.exports.glue_resolve_name(token) : -1
    return number < 0 ? undefined : number
  }

  /** The name of an architecture's syscall; undefined when libseccomp knows none for the number. */
  resolveNumber(arch: Arch, number: number): string | undefined {
    const token = tokenOf(arch, number)
    if (!Number.isInteger(number) || number < 0 || number > 0x7fffffff) return undefined
    return this.#library.text(this.#library.exports.glue_resolve_number(token, number))
  }

  /** All syscalls of an architecture, names to numbers, in the order of the numbers. Made when first asked for (ms). */
  syscalls(arch: Arch): ReadonlyMap<string, number> {
    const known = this.#tables.get(arch)
    if (known !== undefined) return known
    const entries: [string, number][] = []
    for (const name of this.#names()) {
      const number = this.resolveName(arch, name)
      if (number !== undefined) entries.push([name, number])
    }
    const table = new Map(entries.sort(([, a], [, b]) => a - b))
    this.#tables.set(arch, table)
    return table
  }

  /** The highest number of an architecture's syscalls, without those of ARM's own (cacheflush, set_tls, ...), which begin far above all others. */
  highest(arch: Arch): number {
    const numbers = [...this.syscalls(arch).values()]
    return Math.max(...(arch === 'arm' ? numbers.filter((number) => number < ARM_PRIVATE) : numbers))
  }

  /** Every name that some architecture has. */
  *#names(): Generator<string> {
    const { exports } = this.#library
    for (let index = 0; ; index++) {
      const name = this.#library.text(exports.glue_syscall_name(index))
      if (name === undefined) return
      yield name
    }
  }
}

/** __ARM_NR_BASE of arch/arm/include/uapi/asm/unistd.h. */
const ARM_PRIVATE = 0xf0000

const tokenOf = (arch: Arch, syscall: string | number): number => {
  if (isArch(arch)) return architectures[arch].token
  throw new SeccompError('UNKNOWN_ARCH', `cannot resolve ${JSON.stringify(syscall)} for ${JSON.stringify(arch)}`)
}
