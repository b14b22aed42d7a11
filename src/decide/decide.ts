/** Annotations + the host's configuration -> what to do. Pure. */
import { SandboxError } from '../errors.ts'
import type { Image } from '../generated/policy.ts'
import { type Detail, decodeAnnotations, type ViolationAction } from '../oci/annotations.ts'
import { imageOf } from '../oci/image.ts'
import { policyNameOfImage } from '../policy/name.ts'
import type { Settings } from './settings.ts'

export type Decision =
  | { readonly kind: 'pass' }
  | { readonly kind: 'learn'; readonly policy: string; readonly detail: Detail; readonly image?: Image }
  | { readonly kind: 'enforce'; readonly policy: string; readonly action: ViolationAction }

/** Throws ANNOTATION_INVALID, NOT_PERMITTED or POLICY_UNNAMED: the container must then not start. */
export function decide(annotations: Readonly<Record<string, string>>, settings: Settings): Decision {
  const request = decodeAnnotations(annotations)
  if (request === undefined) return { kind: 'pass' }
  const image = imageOf(annotations)
  const policy = request.policy ?? policyOf(image)
  permit('mode', request.mode, settings.modes)
  if (request.mode === 'learn') {
    return { kind: 'learn', policy, detail: request.detail ?? 'names', ...(image === undefined ? {} : { image }) }
  }
  const action = request.action ?? (settings.actions[0] as ViolationAction)
  permit('action', action, settings.actions)
  return { kind: 'enforce', policy, action }
}

function policyOf(image: Image | undefined): string {
  const reference = image?.name ?? image?.digest
  if (reference !== undefined) return policyNameOfImage(reference)
  throw new SandboxError(
    'POLICY_UNNAMED',
    'no policy is named, and this runtime does not tell the image; set the annotation io.sandbox.policy=NAME',
  )
}

function permit(what: string, value: string, allowed: readonly string[]): void {
  if (allowed.includes(value)) return
  const permitted = allowed.length === 0 ? 'none' : allowed.join(', ')
  throw new SandboxError(
    'NOT_PERMITTED',
    `annotation io.sandbox.${what}=${value} is not permitted on this host (its configuration permits: ${permitted})`,
  )
}
