/** libseccomp, loaded at most once, and only where it is used: the hook's path with a cached filter never does. */
import { loadSync, type Seccomp } from 'seccomp-bpf-wasm'
import { readSeccompWasm } from '#seccomp-wasm'

let loaded: Seccomp | undefined

export function seccompLibrary(): Seccomp {
  loaded ??= loadSync(readSeccompWasm())
  return loaded
}

/** The same; `module`: readSeccompWasm(), compiled. */
export function libraryOf(module: WebAssembly.Module): Seccomp {
  loaded ??= loadSync(module)
  return loaded
}
