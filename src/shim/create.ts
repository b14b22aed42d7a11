/** create and run: the runtime gets a bundle of ours in place of the caller's, where the container is to be learned or enforced. */
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { decide } from '../decide/decide.ts'
import { chooseMethod, mayTrace } from '../enforce/method.ts'
import { oneLine, SandboxError } from '../errors.ts'
import { annotationsOf, type ConfigJson, decodeConfig, seccompOf, startsWithoutNewPrivileges } from '../oci/config.ts'
import { decidingAnnotations, encodeQuestion, shimSubject } from '../oci/question.ts'
import { calibrationFiles } from '../policy/calibration.ts'
import { changeFor } from './change.ts'
import { claim, forAnyContainer, forget, processOf, removal, writeShadow } from './container.ts'
import { dockerAnnotations } from './docker.ts'
import { keepFilter } from './filter.ts'
import type { Invocation } from './invocation.ts'
import { encodeHook, moveConfig, prepareConfig } from './prepare.ts'
import { effectiveAnnotations } from './request.ts'
import { readArguments } from './subcommand.ts'

/**
 * Returns the runtime's arguments. Whatever throws here, the runtime is not started.
 */
export async function create(invocation: Invocation): Promise<readonly string[]> {
  const { command, settings, subcommand, memory } = invocation
  const given = readArguments(subcommand, command.rest)
  const unchanged = [...command.globals, subcommand, ...command.rest]
  if (given.id === undefined) return unchanged
  const bundle = resolve(given.bundle ?? '.')
  const config = readConfig(resolve(bundle, given.config ?? 'config.json'))
  const annotations = effectiveAnnotations({ ...dockerAnnotations(config), ...annotationsOf(config) }, command.own)
  const deciding = decidingAnnotations(annotations)
  const decision = decide(deciding, settings)
  const seccomp = seccompOf(config)
  const noNewPrivileges = startsWithoutNewPrivileges(config)
  const question = encodeQuestion(shimSubject(seccomp !== undefined, noNewPrivileges), deciding)
  if (decision.kind === 'pass') {
    memory?.keep(question, { kind: 'pass', runtime: settings.runtime })
    return unchanged
  }

  const place = invocation.place(given.id)
  const { runtime } = invocation
  const asked = decision.kind === 'enforce' ? settings.enforce.method : 'exec'
  const method = chooseMethod({ asked, runtime, traces: mayTrace(), seccomp: seccomp !== undefined })
  const { kind, policy } = decision
  const directory = claim(place, { bundle, creator: processOf(invocation.pid), kind, policy, method })
  if (method === 'crun-bpf') memory?.lookAt([runtime, ...calibrationFiles(settings.store)])
  try {
    const change = await changeFor({
      decision,
      settings,
      annotations,
      config: invocation.config,
      method,
      runtimes: [runtime],
      container: given.id,
      noNewPrivileges,
      atEnd: [removal(directory)],
      seccomp,
      look: memory?.lookAtPolicy,
      keep: (filter) => keepFilter(directory, filter),
    })
    const shadow = writeShadow(directory, bundle, moveConfig(prepareConfig(config, change), bundle))
    if (decision.kind === 'enforce' && change.repeats !== undefined) {
      const startHook = forAnyContainer(encodeHook(change.hooks.createRuntime), directory)
      const endHook = forAnyContainer(encodeHook(change.hooks.poststop), directory)
      const answer = { ...decision, ...change.repeats, settings, runtime: settings.runtime, startHook, endHook }
      memory?.keep(question, answer)
    }
    return [...command.globals, subcommand, '--bundle', shadow, ...given.others]
  } catch (error) {
    forget(directory)
    throw error
  }
}

export function readConfig(path: string): ConfigJson {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    throw new SandboxError('BUNDLE_INVALID', `cannot read the bundle's configuration ${path}: ${oneLine(error)}`, {
      cause: error,
    })
  }
  return decodeConfig(text, path)
}
