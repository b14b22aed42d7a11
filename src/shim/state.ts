import { runProgram } from '../host/programs.ts'
import { decodeState, type State } from '../oci/state.ts'
import type { Place } from './container.ts'

/** A container's state, as its runtime tells it; undefined where that knows no such container. Throws STATE_INVALID. */
export function stateOf({ id, root, runtime }: Place): State | undefined {
  const { code, stdout } = runProgram([runtime, ...(root === undefined ? [] : ['--root', root]), 'state', id])
  return code === 0 ? decodeState(stdout) : undefined
}
