/** The image that a container was made from, where its runtime says so in an annotation. */
import type { Image } from '../generated/policy.ts'

/** The image-spec's own key for the image's name. */
export const NAME_KEY = 'org.opencontainers.image.ref.name'
/** Where each manager writes the image's name: Kubernetes through containerd, CRI-O, the others. */
const NAME_KEYS = ['io.kubernetes.cri.image-name', 'io.kubernetes.cri-o.ImageName', NAME_KEY]
const DIGEST_KEYS = ['io.kubernetes.cri-o.ImageRef', 'org.opencontainers.image.digest']
const DIGEST = /sha256:[0-9a-f]{64}/

/** What the CRI's runtimes, containerd and CRI-O, call a pod's own container, which holds its namespaces and runs no program of the user's. */
export const POD_SANDBOX_KEYS: readonly string[] = [
  'io.kubernetes.cri.container-type',
  'io.kubernetes.cri-o.ContainerType',
]

/** All annotations that this module looks at. */
export const IMAGE_KEYS: readonly string[] = [...NAME_KEYS, ...DIGEST_KEYS, ...POD_SANDBOX_KEYS]

/** Whether this is the sandbox (pause) container of a pod. It gets the annotations that are meant for the pod's containers. */
export function isPodSandbox(annotations: Readonly<Record<string, string>>): boolean {
  return POD_SANDBOX_KEYS.some((key) => annotations[key] === 'sandbox')
}

/** Undefined where the runtime tells neither a name nor a digest. */
export function imageOf(annotations: Readonly<Record<string, string>>): Image | undefined {
  const pick = (keys: string[]) =>
    keys.map((key) => annotations[key]).find((value) => value !== undefined && value !== '')
  const name = pick(NAME_KEYS)
  const digest = DIGEST.exec(pick(DIGEST_KEYS) ?? name ?? '')?.[0]
  if (name === undefined && digest === undefined) return undefined
  return { ...(name === undefined ? {} : { name: name.slice(0, 1024) }), ...(digest === undefined ? {} : { digest }) }
}
