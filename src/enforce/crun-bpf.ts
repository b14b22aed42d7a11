/** For crun's annotation: a program that holds crun's last steps too, so that its own calls are allowed as well. */
import { SandboxError } from '../errors.ts'
import { type CachedProgram, FilterCache } from '../filter/cache.ts'
import { lookUpFilter } from '../filter/lookup.ts'
import type { ViolationAction } from '../oci/annotations.ts'
import type { Store } from '../policy/store.ts'
import { withRuntimeCalls } from '../policy/with-runtime-calls.ts'

/** Throws what filterOf() throws, and FILTER_FAILED where the policy needs more than one program, which the annotation cannot hold. */
export async function crunFilter(
  store: Store,
  { policy, action }: { readonly policy: string; readonly action: ViolationAction },
): Promise<CachedProgram> {
  const { text, decode } = store.source(policy)
  // No policy has such a name: the cache keeps the two apart.
  const source = { name: `${policy}+runtime-calls`, text, decode: () => withRuntimeCalls(decode()) }
  const [program, ...others] = await lookUpFilter(new FilterCache(store.root), source, action)
  if (program !== undefined && others.length === 0) return program
  throw new SandboxError(
    'FILTER_FAILED',
    `policy ${policy} needs ${others.length + 1} programs, and crun's annotation holds one; use enforce.method exec`,
  )
}
