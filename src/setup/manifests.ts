/** The hook manifests (oci-hooks(5)) that podman and CRI-O read. */
import { basename } from 'node:path'
import { MANIFESTS } from '../generated/manifests.ts'
import { HELPER, programPath, tracerPath } from '../host/paths.ts'
import { isObject, type Json, JsonError, parseJson } from '../json.ts'
import type { Options } from './door.ts'

/** Where podman and CRI-O look for hooks; a file in the second one hides one of the same name in the first (CRI-O). */
export const HOOKS_DIRECTORY = '/usr/share/containers/oci/hooks.d'
export const OVERRIDE_DIRECTORY = '/etc/containers/oci/hooks.d'
/** The stage precreate is podman's own: CRI-O would not start with such a manifest in a directory that it reads. */
export const PODMAN_DIRECTORY = '/etc/oci-sandbox/podman-hooks.d'

export interface Manifest {
  readonly program: string
  /** Our hook's name, as in `oci-sandbox hook NAME`; undefined where it is another program's. */
  readonly hook: string | undefined
  readonly stages: readonly string[]
  /** Whether the hook runs for every container. */
  readonly every: boolean
  readonly environment: boolean
}

/** File name -> text, for the options. `precreate`: those of podman's own stage, or the others. */
export function manifestTexts(options: Options, precreate: boolean): Map<string, string> {
  const texts = new Map<string, string>()
  for (const [name, template] of Object.entries(MANIFESTS)) {
    const manifest = JSON.parse(template)
    if (manifest.stages.includes('precreate') !== precreate) continue
    manifest.hook.path = manifest.hook.path.startsWith('@LIBEXECDIR@') ? tracerPath() : programPath()
    if (options.config !== undefined) manifest.hook.args.push('--config', options.config)
    const learns = options.required.some(({ mode }) => mode === 'learn')
    if (options.every && (manifest.hook.args[2] !== 'learn' || learns)) manifest.when = { always: true }
    texts.set(`${name}.json`, `${JSON.stringify(manifest, null, 2)}\n`)
  }
  return texts
}

/** Reads a manifest. Throws JsonError. */
export function decodeManifest(text: string): Manifest {
  const manifest = parseJson(text)
  const hook = isObject(manifest) ? manifest.hook : undefined
  if (!isObject(manifest) || !isObject(hook) || typeof hook.path !== 'string')
    throw new JsonError('it names no program')
  const args = strings(hook.args)
  const { when, stages, stage } = manifest
  return {
    program: hook.path,
    hook: args.find((_, index) => args[index - 1] === 'hook'),
    stages: strings(stages ?? stage),
    every: isObject(when) && when.always === true,
    environment: Array.isArray(hook.env),
  }
}

function strings(value: Json | undefined): string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : []
}

/** Whether a manifest starts this program or its helper, wherever they are. */
export function isOurs({ program }: Manifest): boolean {
  return basename(program) === 'oci-sandbox' || basename(program) === HELPER
}
