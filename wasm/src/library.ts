import { SeccompError } from './error.ts'

/** What wasm/exports lists: pointers and C ints are numbers, `unsigned` results come signed. */
export type Exports = {
  readonly memory: WebAssembly.Memory
  _initialize(): void
  malloc(size: number): number
  free(pointer: number): void
  seccomp_arch_add(filter: number, token: number): number
  seccomp_arch_resolve_name(name: number): number
  seccomp_attr_set(filter: number, attribute: number, value: number): number
  seccomp_export_pfc(filter: number, descriptor: number): number
  seccomp_release(filter: number): void
  glue_arch_audit(token: number): number
  glue_arch_little_endian(token: number): number
  glue_error_name(code: number): number
  glue_export_bpf(filter: number, buffer: number, length: number): number
  glue_filter_new(token: number, action: number): number
  glue_merge(into: number, from: number): number
  glue_priority(filter: number, token: number, number: number, priority: number): number
  glue_resolve_name(token: number): number
  glue_resolve_number(token: number, number: number): number
  glue_rule_add(
    filter: number,
    token: number,
    exact: number,
    action: number,
    number: number,
    comparisons: number,
  ): number
  glue_rule_number(token: number): number
  glue_rules_add(filter: number, token: number, action: number, calls: number, count: number): number
  glue_scratch(): number
  glue_start(): number
  glue_syscall_name(index: number): number
}

/** Bytes that the scratch area of glue.c holds for a name, its end included. */
const nameCapacity = 256

/** WASI errno numbers (wasi_snapshot_preview1): the imports answer with these. */
const wasi = { success: 0, badf: 8, spipe: 70 } as const

/** One instance of the module, with access to its memory. Memory moves when it grows: never keep a view of it. */
export class Library {
  readonly exports: Exports
  readonly scratch: number
  /** major << 16 | minor << 8 | patch */
  readonly version: number
  #view: DataView
  #written = ''
  #decoder = new TextDecoder()
  readonly #encoder = new TextEncoder()
  #name: Uint8Array<ArrayBuffer> | undefined

  constructor(module: WebAssembly.Module) {
    const instance = this.#instantiate(module)
    this.exports = instance.exports as unknown as Exports
    if (typeof this.exports.glue_start !== 'function') {
      throw new SeccompError('BAD_MODULE', 'cannot start libseccomp: this WebAssembly module is another')
    }
    this.#view = new DataView(this.exports.memory.buffer)
    this.exports._initialize()
    this.version = this.exports.glue_start()
    if (this.version === 0) throw new SeccompError('BAD_MODULE', 'cannot start libseccomp: wrong native architecture')
    this.scratch = this.exports.glue_scratch()
  }

  /** The memory as it is now. */
  get view(): DataView {
    if (this.#view.buffer !== this.exports.memory.buffer) this.#view = new DataView(this.exports.memory.buffer)
    return this.#view
  }

  /** A copy: what the module does later does not change it. */
  bytes(address: number, length: number): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.exports.memory.buffer, address, length).slice()
  }

  /** The text at an address that C gave, which ends with a NUL; undefined for NULL. */
  text(address: number): string | undefined {
    if (address === 0) return undefined
    const { view } = this
    let text = ''
    // Names of syscalls and errors are ASCII.
    for (let at = address, byte = view.getUint8(at); byte !== 0; byte = view.getUint8(++at)) {
      text += String.fromCharCode(byte)
    }
    return text
  }

  /** Puts a name where glue.c's functions look for it; false: it cannot be a name (too long, or not ASCII without an end in it). */
  putName(name: string): boolean {
    if (this.#name?.buffer !== this.exports.memory.buffer)
      this.#name = new Uint8Array(this.exports.memory.buffer, this.scratch, nameCapacity)
    const { read, written } = this.#encoder.encodeInto(name, this.#name)
    if (read < name.length || written !== read || written === nameCapacity || name.includes('\0')) return false
    this.#name[written] = 0
    return true
  }

  /** Runs what writes text to a descriptor, and gives what it has written. */
  captured(write: () => void): string {
    this.#written = ''
    this.#decoder = new TextDecoder()
    write()
    return this.#written
  }

  /** Throws unless libseccomp's answer says success. */
  expect(result: number, attempt: () => string): number {
    if (result >= 0) return result
    throw SeccompError.fromErrno(this.text(this.exports.glue_error_name(result)) ?? '', attempt())
  }

  #instantiate(module: WebAssembly.Module): WebAssembly.Instance {
    try {
      return new WebAssembly.Instance(module, {
        wasi_snapshot_preview1: {
          // Any descriptor is the output of captured(): the module opens none itself.
          fd_write: (_fd: number, vectors: number, count: number, written: number) =>
            this.#fdWrite(vectors, count, written),
          fd_close: () => wasi.success,
          fd_seek: () => wasi.spipe,
          fd_read: () => wasi.badf,
        },
      })
    } catch (cause) {
      throw new SeccompError('BAD_MODULE', 'cannot instantiate the WebAssembly module', { cause })
    }
  }

  /** vectors: __wasi_ciovec_t[count], each an address and a length in bytes, 32 bits wide. */
  #fdWrite(vectors: number, count: number, written: number): number {
    const { view } = this
    let total = 0
    for (let at = vectors; at < vectors + count * 8; at += 8) {
      const length = view.getUint32(at + 4, true)
      this.#written += this.#decoder.decode(this.bytes(view.getUint32(at, true), length), { stream: true })
      total += length
    }
    view.setUint32(written, total, true)
    return wasi.success
  }
}
