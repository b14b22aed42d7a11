/** The filter of a policy in the store. */
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
