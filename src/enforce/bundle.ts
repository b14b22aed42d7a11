/** In the bundle: linux.seccomp, which the runtime loads itself. It works under it too, so its own calls are allowed as well. */
import { seccompLibrary } from '../filter/library.ts'
import { oneList } from '../policy/export/one-list.ts'
import { type ExportOptions, exportOci, type Profile } from '../policy/export-oci.ts'
import { intersectOci } from '../policy/intersect-oci.ts'
import type { Store } from '../policy/store.ts'

/** `theirs`: the bundle's own profile, which is never widened. Throws POLICY_*, EXPORT_IMPOSSIBLE, STORE_*. */
export function bundleSeccomp(
  store: Store,
  { policy, action, runtimeCalls }: { readonly policy: string } & ExportOptions,
  theirs: unknown,
): Profile {
  const seccomp = seccompLibrary()
  const names = {
    numberOf: (architecture: string, name: string) => seccomp.resolveName(architecture as 'x86_64', name),
  }
  const ours = exportOci(oneList(store.read(policy), names), { action, runtimeCalls })
  return theirs === undefined ? ours : intersectOci(ours, theirs)
}
