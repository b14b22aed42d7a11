// The package as it is shipped, loaded once for a test file.
import { readFileSync } from 'node:fs'
import { type Action, type Arch, type Filter, loadSync } from 'seccomp-bpf-wasm'

export const wasmFile = new URL('../../../wasm/dist/seccomp.wasm', import.meta.url)
export const seccomp = loadSync(readFileSync(wasmFile))

export const allow: Action = { kind: 'allow' }
export const deny: Action = { kind: 'errno', errno: 1 }

/** A filter that denies what no rule allows. */
export const filterFor = (...architectures: Arch[]): Filter => seccomp.filter({ defaultAction: deny, architectures })

/** The code of the error that an action throws; undefined when it throws none. */
export const codeOf = (action: () => unknown): string | undefined => {
  try {
    action()
  } catch (error) {
    return (error as { code?: string }).code ?? String(error)
  }
  return undefined
}
