/** config.json -> config.json: what makes the runtime learn a container or hold it to its policy. Pure; the shim and precreate share it. */
import { isAbsolute, resolve } from 'node:path'
import { isObject, type Json } from '../json.ts'
import { type ConfigJson, withMembers } from '../oci/config.ts'

export interface Hook {
  readonly path: string
  readonly args: readonly string[]
}

export interface Change {
  /** Added to the annotations, so that the hooks decide as the shim did. */
  readonly annotations: Readonly<Record<string, string>>
  /** Hooks to append, where the bundle has not the same one already. */
  readonly hooks: { readonly createRuntime: readonly Hook[]; readonly poststop: readonly Hook[] }
  /** Hooks that do the same as those of createRuntime: one of them is enough. */
  readonly alike: readonly Hook[]
  /** The container is enforced: what could undo that is taken out. */
  readonly enforced: boolean
  /** Replaces linux.seccomp. */
  readonly seccomp?: ConfigJson
  /** The program for crun's annotation, in base64. */
  readonly crunBpf?: string
}

/** Nothing of the runtime's environment reaches a hook; they live too briefly for a JIT. Seconds that it may take, far more than it does. */
const SURROUNDINGS = { env: ['PATH=/usr/sbin:/usr/bin:/sbin:/bin', 'BUN_JSC_useJIT=0'], timeout: 60 }

/** crun loads this instead of linux.seccomp: whoever may set annotations could replace the policy by a filter of his own. */
export const CRUN_BPF = 'run.oci.seccomp_bpf_data'

export function prepareConfig(config: ConfigJson, change: Change): ConfigJson {
  const { annotations, hooks, alike, enforced, seccomp, crunBpf } = change
  const all = { ...(config.annotations as ConfigJson | undefined), ...annotations }
  if (enforced) delete all[CRUN_BPF]
  if (crunBpf !== undefined) all[CRUN_BPF] = crunBpf
  const annotated = { ...config, annotations: all }
  const early = appendHooks(annotated, 'createRuntime', hooks.createRuntime, alike)
  const prepared = appendHooks(early, 'poststop', hooks.poststop)
  return seccomp === undefined ? prepared : withMembers(prepared, 'linux', { seccomp })
}

/** Appended, never put in their place: Docker has a prestart hook of its own there. */
function appendHooks(
  config: ConfigJson,
  stage: string,
  hooks: readonly Hook[],
  alike: readonly Hook[] = [],
): ConfigJson {
  const present = hooksAt(config, stage)
  // createRuntime and prestart are the same moment.
  const there = stage === 'createRuntime' ? [...present, ...hooksAt(config, 'prestart')] : present
  const missing = hooks.filter((hook) => ![hook, ...alike].some((one) => there.some((other) => sameHook(other, one))))
  if (missing.length === 0) return config
  const added = missing.map(withSurroundings)
  return withMembers(config, 'hooks', { [stage]: [...present, ...added] })
}

/** The first of the hooks as it is added, for the helper. */
export function encodeHook([first]: readonly Hook[]): string {
  return JSON.stringify(withSurroundings(first as Hook))
}

function withSurroundings({ path, args }: Hook) {
  return { path, args: [...args], ...SURROUNDINGS }
}

function hooksAt(config: ConfigJson, stage: string): Json[] {
  const list = isObject(config.hooks) ? config.hooks[stage] : undefined
  return Array.isArray(list) ? list : []
}

function sameHook(hook: Json, { path, args }: Hook): boolean {
  return isObject(hook) && hook.path === path && JSON.stringify(hook.args) === JSON.stringify(args)
}

/** A config.json that means the same in another directory: its relative paths are the old bundle's. */
export function moveConfig(config: ConfigJson, bundle: string): ConfigJson {
  const { root, mounts } = config
  return {
    ...config,
    ...(isObject(root) ? { root: absolute(root, 'path', bundle) } : {}),
    ...(Array.isArray(mounts)
      ? { mounts: mounts.map((mount) => (isBind(mount) ? absolute(mount, 'source', bundle) : mount)) }
      : {}),
  }
}

function isBind(mount: Json): mount is ConfigJson {
  if (!isObject(mount)) return false
  const { type, options } = mount
  return (
    type === 'bind' || (Array.isArray(options) && options.some((option) => option === 'bind' || option === 'rbind'))
  )
}

function absolute(object: ConfigJson, key: string, bundle: string): ConfigJson {
  const path = object[key]
  return typeof path !== 'string' || isAbsolute(path) ? object : { ...object, [key]: resolve(bundle, path) }
}
