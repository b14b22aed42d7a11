/** Annotations + the host's configuration -> what to do. Pure. */
import { SandboxError } from '../errors.ts'
import type { Image } from '../generated/policy.ts'
import { type Detail, decodeAnnotations, HANDLER_KEYS, type Request, type ViolationAction } from '../oci/annotations.ts'
import { imageOf, isPodSandbox } from '../oci/image.ts'
import { policyNameOfImage } from '../policy/name.ts'
import { type Required, requiredOf } from './required.ts'
import type { Settings } from './settings.ts'

export type Decision =
  | { readonly kind: 'pass' }
  | { readonly kind: 'learn'; readonly policy: string; readonly detail: Detail; readonly image?: Image }
  | { readonly kind: 'enforce'; readonly policy: string; readonly action: ViolationAction }

/** The actions from the one that refuses nothing to the one that ends the process. */
const STRICTNESS: readonly ViolationAction[] = ['log', 'errno', 'kill']

/** Throws ANNOTATION_INVALID, NOT_PERMITTED or POLICY_UNNAMED: the container must then not start. */
export function decide(annotations: Readonly<Record<string, string>>, settings: Settings): Decision {
  const image = imageOf(annotations)
  const podSandbox = isPodSandbox(annotations)
  const required = requiredOf(settings.required, { image, podSandbox })
  // A pod's annotations mean its containers; its sandbox is held to something only where the host says so.
  if (podSandbox && required === undefined) return { kind: 'pass' }
  const request: Request | undefined = decodeAnnotations(annotations, required?.mode) ?? required
  if (request === undefined) return { kind: 'pass' }
  permitMode(request, required, settings)
  const policy = required?.policy ?? request.policy ?? policyOf(image)
  if (request.mode === 'learn') {
    if (request.detail !== undefined) permit('detail', request.detail, settings.details)
    return { kind: 'learn', policy, detail: request.detail ?? 'names', ...(image === undefined ? {} : { image }) }
  }
  refuseHandlers(annotations)
  return { kind: 'enforce', policy, action: actionOf(request, required, settings) }
}

/** The program would never be held to its policy, and nobody would say so. */
function refuseHandlers(annotations: Readonly<Record<string, string>>): void {
  for (const key of HANDLER_KEYS) {
    const value = annotations[key]
    if (value === undefined || value === '') continue
    throw new SandboxError(
      'NOT_PERMITTED',
      `annotation ${key}=${value} has the program run without an execve, so that no policy could hold it; remove it, or do not ask for io.sandbox.mode=enforce`,
    )
  }
}

/** The host's requirement goes first; what it does not settle, its lists of what may be asked for do. */
function permitMode({ mode, policy }: Request, required: Required | undefined, { modes }: Settings): void {
  if (required?.mode === 'enforce' && mode !== 'enforce') refuse(`mode=${mode}`, 'requires enforce')
  if (required?.policy !== undefined && policy !== undefined && policy !== required.policy) {
    refuse(`policy=${policy}`, `requires the policy ${required.policy}`)
  }
  if (mode !== required?.mode) permit('mode', mode, modes)
}

function actionOf({ action }: Request, required: Required | undefined, { actions }: Settings): ViolationAction {
  const first = actions[0] as ViolationAction
  if (action === undefined) return first
  permit('action', action, actions)
  if (required?.mode === 'enforce' && STRICTNESS.indexOf(action) < STRICTNESS.indexOf(first)) {
    refuse(`action=${action}`, `requires enforce, with ${first} or a stricter action`)
  }
  return action
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
  if (!allowed.includes(value)) refuse(`${what}=${value}`, `permits: ${allowed.join(', ') || 'none'}`)
}

function refuse(annotation: string, reason: string): never {
  throw new SandboxError(
    'NOT_PERMITTED',
    `annotation io.sandbox.${annotation} is not permitted on this host (its configuration ${reason})`,
  )
}
