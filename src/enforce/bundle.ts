/** In the bundle: linux.seccomp, which the runtime loads itself. It works under it too, so its own calls are allowed as well. */
import { type CachedFilter, FilterCache } from '../filter/cache.ts'
import { lookUpFilter } from '../filter/lookup.ts'
import type { ArchitectureName } from '../policy/document.ts'
import { oneList } from '../policy/export/one-list.ts'
import { type ExportOptions, exportOci, type Profile } from '../policy/export-oci.ts'
import { intersectOci } from '../policy/intersect-oci.ts'
import type { Store } from '../policy/store.ts'
import { SYSCALL_NAMES } from '../policy/syscall-names.ts'
import { widenPolicy } from '../policy/widen.ts'
import { withRuntimeCalls } from '../policy/with-runtime-calls.ts'

/** `theirs`: the bundle's own profile, which is never widened. Throws POLICY_*, EXPORT_IMPOSSIBLE, STORE_*. */
export function bundleSeccomp(
  store: Store,
  { policy, action, runtimeCalls }: { readonly policy: string } & ExportOptions,
  theirs: unknown,
): Profile {
  const ours = exportOci(oneList(widenPolicy(store.read(policy)), SYSCALL_NAMES), { action, runtimeCalls })
  return theirs === undefined ? ours : intersectOci(ours, theirs)
}

/**
 * The filter that the runtime's own, which it compiles from that profile, must not be wider than. Throws what filterOf() throws.
 */
export async function bundleLimit(
  store: Store,
  { policy, action, runtimeCalls }: { readonly policy: string } & ExportOptions,
): Promise<CachedFilter> {
  const { text, decode } = store.source(policy)
  const has = (architecture: ArchitectureName, call: string) => SYSCALL_NAMES.numberOf(architecture, call) !== undefined
  // No policy has such a name: the cache keeps apart what has other calls added.
  const name = ['', policy, ...runtimeCalls].join('+')
  const source = { name, text, decode: () => withRuntimeCalls(decode(), runtimeCalls, has) }
  return await lookUpFilter(new FilterCache(store.root), source, action)
}
