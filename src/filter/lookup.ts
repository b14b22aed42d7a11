/** The filter of a policy: from the cache, or compiled and put there. */
import { readSeccompWasm } from '#seccomp-wasm'
import type { PolicyDocument } from '../generated/policy.ts'
import type { ViolationAction } from '../oci/annotations.ts'
import { type CachedFilter, cacheKey, type FilterCache } from './cache.ts'
import { prepareFilter } from './compile.ts'
import { libraryOf } from './library.ts'

/** A policy as it is written down. It is decoded only where it must be. */
export interface PolicySource {
  readonly name: string
  readonly text: Uint8Array
  /** Throws POLICY_INVALID. */
  decode(): PolicyDocument
}

/**
 * A filter in the cache is found by the policy's name and bytes, and got there only after these bytes were decoded and the filter was
 * proved: a hit needs neither. Who passes `later` gets what puts a new one there, to be called when there is time. Throws POLICY_INVALID,
 * POLICY_EMPTY, STORE_UNSAFE, STORE_FAILED, FILTER_*.
 */
export async function lookUpFilter(
  cache: FilterCache,
  source: PolicySource,
  action: ViolationAction,
  later: (put: () => void) => void = (put) => put(),
): Promise<CachedFilter> {
  const key = cacheKey(source.text, [source.name, action])
  const known = cache.get(key)
  if (known !== undefined) return known
  const filter = cache.place(await compileSource(source, action))
  later(() => cache.put(key, filter))
  return filter
}

/**
 * Without the cache. Another thread prepares libseccomp, while this one does what can be done without. Our own compiler is loaded at each start: asking for
 * it with an import() would take longer. Throws POLICY_INVALID, POLICY_EMPTY, FILTER_*.
 */
export async function compileSource(source: PolicySource, action: ViolationAction): Promise<readonly Uint8Array[]> {
  const module = WebAssembly.compile(readSeccompWasm())
  const compile = prepareFilter(source.decode(), action)
  return compile(libraryOf(await module))
}
