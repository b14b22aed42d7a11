/** A whole config.json that is changed on its way to the runtime: everything that is not ours to change stays as it was. */
import { oneLine, SandboxError } from '../errors.ts'
import { isObject, type Json, parseJson } from '../json.ts'

export type ConfigJson = { [key: string]: Json }

/** Where an integer may be beyond 2^53, which JSON.parse would round (uint64 arguments of linux.seccomp). */
const LONG_NUMBER = /\d{16}/

/** Where our hooks are looked for. */
const HOOK_STAGES = ['prestart', 'createRuntime', 'poststop']

/**
 * Go's decoder takes "Hooks" for "hooks", and the later one of two: what we write into one could be undone by the other, so the keys that
 * we look at may be there in one spelling only.
 */
const KEYS: readonly [path: readonly string[], keys: readonly string[]][] = [
  [[], ['annotations', 'hooks', 'linux', 'mounts', 'process', 'root']],
  [['hooks'], HOOK_STAGES],
  [['linux'], ['seccomp']],
  [['process'], ['noNewPrivileges']],
  [['root'], ['path']],
]

/** Decodes a config.json; `source` names it in messages. Throws BUNDLE_INVALID. */
export function decodeConfig(text: string, source: string): ConfigJson {
  let value: unknown
  try {
    // The runtime gets what we write, so that a duplicate key cannot be read in two ways.
    value = LONG_NUMBER.test(text) ? parseJson(text) : JSON.parse(text)
  } catch (error) {
    throw invalid(source, oneLine(error))
  }
  if (!isObject(value)) throw invalid(source, 'expected a JSON object')
  for (const [path, keys] of KEYS) checkSpelling(value, path, keys, source)
  // One that looks like ours would make ours needless, and could be another one to Go.
  for (const stage of HOOK_STAGES) {
    const list = isObject(value.hooks) ? value.hooks[stage] : undefined
    for (const index of Array.isArray(list) ? list.keys() : [])
      checkSpelling(value, ['hooks', stage, index], ['path', 'args'], source)
  }
  const annotations = value.annotations ?? {}
  if (!isObject(annotations) || Object.values(annotations).some((text) => typeof text !== 'string')) {
    throw invalid(source, '/annotations: expected an object of strings')
  }
  return value
}

function checkSpelling(
  config: ConfigJson,
  path: readonly (string | number)[],
  keys: readonly string[],
  source: string,
): void {
  let at: Json | undefined = config
  for (const key of path) at = isObject(at) || Array.isArray(at) ? (at as ConfigJson)[key] : undefined
  if (!isObject(at)) return
  for (const found of Object.keys(at)) {
    const meant = keys.find((key) => key !== found && folded(key) === folded(found))
    if (meant !== undefined) throw invalid(source, `/${[...path, found].join('/')}: write it ${meant}`)
  }
}

/** Go folds the long s, too. */
function folded(key: string): string {
  return key.toLowerCase().replaceAll('\u017f', 's')
}

export function encodeConfig(config: ConfigJson): string {
  return JSON.stringify(config, (_key, value) => (typeof value === 'bigint' ? RAW.rawJSON(String(value)) : value))
}

/** ECMAScript's "JSON.parse source text access"; in Bun and in Node 22. */
const RAW = JSON as unknown as { rawJSON(text: string): unknown }

export function annotationsOf(config: ConfigJson): Record<string, string> {
  return (config.annotations ?? {}) as Record<string, string>
}

/** linux.seccomp, where there is one. */
export function seccompOf({ linux }: ConfigJson): Json | undefined {
  return isObject(linux) ? (linux.seccomp ?? undefined) : undefined
}

/** process.noNewPrivileges: a runtime then loads linux.seccomp later, and does less under it. */
export function startsWithoutNewPrivileges({ process }: ConfigJson): boolean {
  return isObject(process) && process.noNewPrivileges === true
}

/** A copy with some keys of the object at `key` changed. */
export function withMembers(config: ConfigJson, key: string, members: ConfigJson): ConfigJson {
  const before = config[key]
  return { ...config, [key]: { ...(isObject(before) ? before : {}), ...members } }
}

function invalid(source: string, problem: string): SandboxError {
  return new SandboxError('BUNDLE_INVALID', `the bundle's configuration ${source}: ${problem}`)
}
