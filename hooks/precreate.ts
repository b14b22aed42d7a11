/**
 * The precreate hook (podman only): the container's whole config.json on standard input, and on standard output the one that the runtime
 * gets in its place, changed as the shim changes it.
 */
import { resolve } from 'node:path'
import { decide } from '../src/decide/decide.ts'
import type { Settings } from '../src/decide/settings.ts'
import { chooseMethod, mayTrace } from '../src/enforce/method.ts'
import { print } from '../src/host/output.ts'
import {
  annotationsOf,
  type ConfigJson,
  decodeConfig,
  encodeConfig,
  seccompOf,
  startsWithoutNewPrivileges,
} from '../src/oci/config.ts'
import { changeFor } from '../src/shim/change.ts'
import { prepareConfig } from '../src/shim/prepare.ts'
import { possibleRuntimes } from '../src/shim/runtime.ts'

/** podman says the container's id nowhere but in the name of its cgroup. */
const CGROUP = /libpod-([0-9a-f]{64})/

export interface Precreate {
  readonly config: ConfigJson
  readonly text: string
  /** For the journal, where the configuration tells it. */
  readonly container: string | undefined
}

/** Throws BUNDLE_INVALID. */
export function decodePrecreate(text: string): Precreate {
  const config = decodeConfig(text, 'on standard input')
  const { cgroupsPath } = (config.linux ?? {}) as { cgroupsPath?: unknown }
  return { config, text, container: CGROUP.exec(String(cgroupsPath))?.[1] }
}

/** Throws what the decision and the filter throw: podman then does not start the container. */
export async function precreate(
  { config, text, container }: Precreate,
  settings: Settings,
  file: string | undefined,
): Promise<void> {
  const decision = decide(annotationsOf(config), settings)
  if (decision.kind === 'pass') return print(text)
  const seccomp = seccompOf(config)
  const asked = decision.kind === 'enforce' ? settings.enforce.method : 'exec'
  const change = await changeFor({
    ...{ decision, settings, annotations: {}, config: file === undefined ? undefined : resolve(file) },
    method: chooseMethod({ asked, runtime: undefined, traces: mayTrace(), seccomp: seccomp !== undefined }),
    ...{
      seccomp,
      runtimes: possibleRuntimes(settings.runtime),
      container,
      noNewPrivileges: startsWithoutNewPrivileges(config),
    },
    atEnd: [],
    // The cache keeps it: nobody tells us when the container has ended.
    keep: (filter) => filter.map(({ path }) => path),
  })
  print(encodeConfig(prepareConfig(config, change)))
}
