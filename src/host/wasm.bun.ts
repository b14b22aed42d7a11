import { readFileSync } from 'node:fs'
import path from 'seccomp-bpf-wasm/seccomp.wasm' with { type: 'file' }

/** The bytes of seccomp.wasm, embedded in the standalone binary. */
export function readSeccompWasm(): Buffer {
  return readFileSync(path)
}
