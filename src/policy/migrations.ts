/**
 * Documents of older versions -> the version that this program writes: a step for each version. A step sees plain JSON that nobody has
 * checked, and leaves alone what it does not understand: the schema names that afterwards. Pure.
 *
 * To change the format: raise POLICY_VERSION, add a step here, keep a document of the version before in test/policy/versions.
 */
import { isObject, type Json } from '../json.ts'
import { quote } from '../validate.ts'

export interface PlainObject {
  [key: string]: Json
}

type Step = (document: PlainObject) => PlainObject

/** The first one makes version 2 of version 1, and so on. */
export const STEPS: readonly Step[] = [toVersion2]

/**
 * 2: `reasons` and `comments`, lists of which merging loses nothing; version 1 had one `reason`, and the merge of two lost one. Comparisons of
 * ranges.
 */
function toVersion2(document: PlainObject): PlainObject {
  return forEachCall(document, ({ reason, ...call }) => (reason === undefined ? call : { ...call, reasons: [reason] }))
}

function forEachCall(document: PlainObject, change: Step): PlainObject {
  const { architectures } = document
  if (!isObject(architectures)) return document
  const changed = Object.entries(architectures).map(([name, architecture]) => {
    if (!isObject(architecture) || !Array.isArray(architecture.syscalls)) return [name, architecture]
    const syscalls = architecture.syscalls.map((call) => (isObject(call) ? change(call) : call))
    return [name, { ...architecture, syscalls }]
  })
  return { ...document, architectures: Object.fromEntries(changed) }
}

/** A document of this or an older version, as one of this version (`current`). `refuse`: what is wrong, and what to do about it. */
export function migrated(
  document: PlainObject,
  current: number,
  refuse: (problem: string, remedy?: string) => never,
): PlainObject {
  const { version } = document
  if (typeof version !== 'number' || !Number.isSafeInteger(version) || version < 1)
    return refuse(`version ${quote(version)} is no version of a policy (this program knows 1 to ${current})`)
  if (version > current) {
    return refuse(
      `version ${version} is newer than this program, which knows 1 to ${current}`,
      'update oci-sandbox on this host, or learn the policy again here',
    )
  }
  const steps = STEPS.slice(version - 1)
  return steps.reduce<PlainObject>((result, step) => step(result), { ...document, version: current })
}
