/** A bundle's config.json (runtime-spec, config.md), as far as a hook needs it. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { oneLine, SandboxError } from '../errors.ts'
import type { ConfigSchema as Config } from '../generated/runtime-spec-config.ts'
import { isObject, parseJson } from '../json.ts'

/** Reads config.json. Throws BUNDLE_INVALID. */
function readBundle(bundle: string): Config {
  const path = join(bundle, 'config.json')
  try {
    const config = parseJson(readFileSync(path, 'utf8'))
    if (!isObject(config)) throw new Error('expected a JSON object')
    return config as unknown as Config
  } catch (error) {
    throw new SandboxError('BUNDLE_INVALID', `cannot read the bundle's configuration ${path}: ${oneLine(error)}`, {
      cause: error,
    })
  }
}

/** Whether "hook NAME" of ours is in the bundle, at a stage where the container's init waits. */
function hasHook(bundle: string, name: 'learn' | 'enforce'): boolean {
  const { hooks } = readBundle(bundle)
  const early = [hooks?.prestart, hooks?.createRuntime].flatMap((list) => (Array.isArray(list) ? list : []))
  return early.some((hook: { args?: unknown } | null) => {
    const args: unknown[] = Array.isArray(hook?.args) ? hook.args : []
    // It tells what is to be done, and does nothing.
    if (args.includes('--answer')) return false
    // The shim puts the native helper itself there.
    if (args[1] === name && args.includes('--state')) return true
    return args.some((argument, index) => argument === name && args[index - 1] === 'hook')
  })
}

/**
 * Throws BUNDLE_INVALID where a container asks for a mode and the bundle has not the hook that does its work: it would start without
 * its sandbox, or unrecorded, and nobody would say so.
 */
export function requireHook(bundle: string, mode: 'learn' | 'enforce'): void {
  if (hasHook(bundle, mode)) return
  throw new SandboxError(
    'BUNDLE_INVALID',
    `the container asks for io.sandbox.mode=${mode}, but no "hook ${mode}" is among its hooks; add it to hooks.createRuntime of ${bundle}/config.json`,
  )
}
