/** The filter of a policy in the store. */
import type { Settings } from '../decide/settings.ts'
import { SandboxError } from '../errors.ts'
import { type CachedFilter, FilterCache } from '../filter/cache.ts'
import { lookUpFilter } from '../filter/lookup.ts'
import type { ViolationAction } from '../oci/annotations.ts'
import type { Store } from '../policy/store.ts'

/**
 * `look` gets the descriptor of the policy's file before it is read; `later`: see lookUpFilter. Throws POLICY_NOT_FOUND, POLICY_INVALID,
 * POLICY_EMPTY, STORE_UNSAFE, STORE_FAILED, FILTER_*.
 */
export async function filterOf(
  store: Store,
  policy: string,
  action: ViolationAction,
  look?: (descriptor: number) => void,
  later?: (put: () => void) => void,
): Promise<CachedFilter> {
  return await lookUpFilter(new FilterCache(store.root), store.source(policy, look), action, later)
}

/**
 * Compiles a policy that has just been changed, for the host's default action, so that the next start finds its filter in the cache. What is wrong with it, or undefined;
 * a policy that allows nothing yet is not wrong. Throws what is no SandboxError.
 */
export async function compileAhead(
  store: Store,
  policy: string,
  { actions }: Settings,
): Promise<SandboxError | undefined> {
  try {
    await filterOf(store, policy, actions[0] as ViolationAction)
    return undefined
  } catch (error) {
    if (!(error instanceof SandboxError)) throw error
    return error.code === 'POLICY_EMPTY' ? undefined : error
  }
}
