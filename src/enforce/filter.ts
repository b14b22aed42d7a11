/** The filter of a policy in the store: from the cache, or compiled and put there. */

import { type CachedFilter, cacheKey, FilterCache } from '../filter/cache.ts'
import type { ViolationAction } from '../oci/annotations.ts'
import type { Store } from '../policy/store.ts'

/**
 * A filter in the cache is found by the policy's bytes, and got there only after these bytes were decoded and the filter was proved:
 * a hit needs neither. Throws POLICY_NOT_FOUND, POLICY_INVALID, POLICY_EMPTY, STORE_UNSAFE, STORE_FAILED, FILTER_*.
 */
export async function filterOf(store: Store, policy: string, action: ViolationAction): Promise<CachedFilter> {
  const text = store.readText(policy)
  if (text === undefined) throw store.notFound(policy)
  const cache = new FilterCache(store.root)
  const key = cacheKey(text, [policy, action])
  const cached = cache.get(key)
  if (cached !== undefined) return cached
  const [{ compileFilter }, { loadSeccompLibrary }] = await Promise.all([
    import('../filter/compile.ts'),
    import('../filter/library.ts'),
  ])
  const library = loadSeccompLibrary()
  const document = store.decode(policy, text)
  return cache.put(key, compileFilter(await library, document, action))
}
