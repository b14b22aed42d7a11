/** --runtime NAME|PATH, and the runtime of the host configuration. */
import { resolve } from 'node:path'
import { findRuntime } from '../shim/runtime.ts'
import type { Invocation } from './command.ts'

export const RUNTIME_OPTION = {
  type: 'string',
  value: 'NAME|PATH',
  help: 'this runtime instead of that of the host configuration',
} as const

/** The path of the runtime that is meant. Throws RUNTIME_FAILED where there is none. */
export function runtimePath({ text, settings }: Pick<Invocation, 'text' | 'settings'>): string {
  const name = text('runtime') ?? settings.runtime
  return findRuntime(name.includes('/') ? resolve(name) : name)
}

/** The same; undefined where the runtime of the host configuration is not installed. */
export function runtimePathIfInstalled(invocation: Pick<Invocation, 'text' | 'settings'>): string | undefined {
  try {
    return runtimePath(invocation)
  } catch (error) {
    if (invocation.text('runtime') !== undefined) throw error
    return undefined
  }
}
