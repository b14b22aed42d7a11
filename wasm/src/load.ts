import { SeccompError } from './error.ts'
import { Library } from './library.ts'
import { Seccomp } from './seccomp.ts'

/** The bytes of seccomp.wasm, or what they were compiled to. */
export type ModuleSource = ArrayBuffer | Uint8Array<ArrayBuffer> | DataView<ArrayBuffer> | WebAssembly.Module

const badModule = (cause: unknown) => new SeccompError('BAD_MODULE', 'cannot compile seccomp.wasm', { cause })

/** Only whoever needs the file pays for node:fs; a single-file program passes its embedded bytes. */
const bundled = async (): Promise<Uint8Array<ArrayBuffer>> => {
  const { readFile } = await import('node:fs/promises')
  return readFile(new URL('./seccomp.wasm', import.meta.url))
}

/** Loads libseccomp; by default from the seccomp.wasm beside this module. Each call makes an instance of its own. */
export const load = async (source?: ModuleSource): Promise<Seccomp> => {
  if (source instanceof WebAssembly.Module) return loadSync(source)
  const bytes = source ?? (await bundled())
  const module = await WebAssembly.compile(bytes).catch((cause: unknown) => {
    throw badModule(cause)
  })
  return loadSync(module)
}

/** Loads libseccomp from the bytes of seccomp.wasm, at once. */
export const loadSync = (source: ModuleSource): Seccomp => {
  if (source instanceof WebAssembly.Module) return new Seccomp(new Library(source))
  let module: WebAssembly.Module
  try {
    module = new WebAssembly.Module(source)
  } catch (cause) {
    throw badModule(cause)
  }
  return new Seccomp(new Library(module))
}
