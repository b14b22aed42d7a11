/** restore: a container that comes back from a checkpoint brings its filters along, and no hook of ours sees its program start. */
import { resolve } from 'node:path'
import { decide } from '../decide/decide.ts'
import { SandboxError } from '../errors.ts'
import { annotationsOf } from '../oci/config.ts'
import { readConfig } from './create.ts'
import { dockerAnnotations } from './docker.ts'
import type { Invocation } from './invocation.ts'
import { effectiveAnnotations } from './request.ts'
import { readArguments } from './subcommand.ts'

/** Throws NOT_PERMITTED for a container that is to be learned or enforced. */
export async function restore({ command, settings, subcommand }: Invocation): Promise<readonly string[]> {
  const given = readArguments(subcommand, command.rest)
  if (given.id !== undefined) {
    const config = readConfig(resolve(given.bundle ?? '.', 'config.json'))
    const annotations = effectiveAnnotations({ ...dockerAnnotations(config), ...annotationsOf(config) }, command.own)
    const decision = decide(annotations, settings)
    if (decision.kind !== 'pass') {
      throw new SandboxError(
        'NOT_PERMITTED',
        `container ${given.id} cannot be restored with io.sandbox.mode=${decision.kind}: nothing could be done before its program goes on; create it anew`,
      )
    }
  }
  return [...command.globals, subcommand, ...command.rest]
}
