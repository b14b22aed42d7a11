/**
 * What the learn hook leaves behind in poststop: merges the runs of a policy into it, and compiles that for the host's default action, so
 * that the first enforced start finds its filter in the cache.
 */
import type { Settings } from '../src/decide/settings.ts'
import { compileAhead } from '../src/enforce/filter.ts'
import { foldPendingRuns } from '../src/learn/pending.ts'
import { Store } from '../src/policy/store.ts'

/** Throws what reading and writing the store throws. */
export async function settle(policy: string, settings: Settings): Promise<void> {
  const store = new Store(settings.store, settings)
  await foldPendingRuns(store, policy)
  // Where it cannot be enforced, the enforce hook will say so.
  await compileAhead(store, policy, settings)
}
