import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'

/** The bytes of seccomp.wasm, from the package beside us. */
export function readSeccompWasm(): Buffer {
  return readFileSync(createRequire(import.meta.url).resolve('seccomp-bpf-wasm/seccomp.wasm'))
}
