/**
 * The precreate hook (podman only): the container's whole config.json on standard input, and on standard output the one that the runtime
 * gets in its place, changed as the shim changes it.
 */
import { resolve } from 'node:path'
import { decide } from '../src/decide/decide.ts'
import type { Settings } from '../src/decide/settings.ts'
import { chooseMethod, mayTrace } from '../src/enforce/method.ts'
import type { Memory } from '../src/enforce/remember.ts'
import { print } from '../src/host/output.ts'
import {
  annotationsOf,
  type ConfigJson,
  decodeConfig,
  encodeConfig,
  seccompOf,
  startsWithoutNewPrivileges,
} from '../src/oci/config.ts'
import { decidingAnnotations, encodeQuestion } from '../src/oci/question.ts'
import { changeFor } from '../src/shim/change.ts'
import { encodeHook, prepareConfig } from '../src/shim/prepare.ts'
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

/** Throws what the decision and the filter throw: podman then does not start the container. `file`: the path of --config. */
export async function precreate(
  { config, text, container }: Precreate,
  settings: Settings,
  file: string | undefined,
  memory: Memory | undefined,
): Promise<void> {
  const deciding = decidingAnnotations(annotationsOf(config))
  const decision = decide(deciding, settings)
  const question = encodeQuestion('precreate', deciding)
  if (decision.kind === 'pass') {
    print(text)
    memory?.keep(question, decision)
    return
  }
  const seccomp = seccompOf(config)
  const asked = decision.kind === 'enforce' ? settings.enforce.method : 'exec'
  const method = chooseMethod({ asked, runtime: undefined, traces: mayTrace(), seccomp: seccomp !== undefined })
  const change = await changeFor({
    decision,
    settings,
    annotations: {},
    config: file === undefined ? undefined : resolve(file),
    method,
    seccomp,
    runtimes: possibleRuntimes(settings.runtime),
    container,
    noNewPrivileges: startsWithoutNewPrivileges(config),
    atEnd: [],
    look: memory?.lookAtPolicy,
    // The cache keeps it: nobody tells us when the container has ended.
    keep: (filter) => filter.map(({ path }) => path),
  })
  print(encodeConfig(prepareConfig(config, change)))
  if (decision.kind === 'enforce' && change.repeats !== undefined) {
    const startHook = encodeHook(change.hooks.createRuntime)
    memory?.keep(question, { ...decision, ...change.repeats, settings, startHook })
  }
}
