/** What a container asks for: its annotations, and what the runtime's own command line says of every container that it starts. */
import { SandboxError } from '../errors.ts'
import { POD_SANDBOX_KEYS } from '../oci/image.ts'
import type { OwnOptions } from './options.ts'

const KEYS = ['mode', 'policy', 'action'] as const

/**
 * The annotations, with those that --mode, --policy and --action stand for. Throws NOT_PERMITTED where the container asks for something
 * else: the command line is the host's word.
 */
export function effectiveAnnotations(
  annotations: Readonly<Record<string, string>>,
  own: OwnOptions,
): Record<string, string> {
  const all = { ...annotations }
  for (const key of KEYS) {
    const name = `io.sandbox.${key}`
    const value = own[key]
    if (value === undefined) continue
    if (all[name] !== undefined && all[name] !== value) {
      throw new SandboxError(
        'NOT_PERMITTED',
        `annotation ${name}=${all[name]} is not permitted with this runtime, which the host starts with --${key} ${value}`,
      )
    }
    all[name] = value
  }
  // Nor is there a way around it by calling oneself a pod's sandbox, which needs no policy where annotations alone ask for one.
  if (own.mode !== undefined) for (const key of POD_SANDBOX_KEYS) if (all[key] === 'sandbox') all[key] = ''
  return all
}
