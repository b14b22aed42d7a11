/** For crun's annotation: a program that holds crun's last steps too, so that its own calls are allowed as well. */
import { SandboxError } from '../errors.ts'
import { type CachedProgram, FilterCache } from '../filter/cache.ts'
import { lookUpFilter } from '../filter/lookup.ts'
import type { ExportOptions } from '../policy/export-oci.ts'
import type { Store } from '../policy/store.ts'
import { withRuntimeCalls } from '../policy/with-runtime-calls.ts'

/** crun's own calls are those of the machine, not of another ABI. */
const NATIVE: readonly string[] = ['x86_64', 'aarch64']

/** `look` gets the descriptor of the policy's file before it is read. Throws what filterOf() throws, and FILTER_FAILED where the policy needs more than one program, which the annotation cannot hold. */
export async function crunFilter(
  store: Store,
  { policy, action, runtimeCalls }: { readonly policy: string } & ExportOptions,
  look?: (descriptor: number) => void,
): Promise<CachedProgram> {
  const { text, decode } = store.source(policy, look)
  // No policy has such a name: the cache keeps apart what has other calls added.
  const name = [policy, ...runtimeCalls].join('+')
  const has = (architecture: string) => NATIVE.includes(architecture)
  const source = { name, text, decode: () => withRuntimeCalls(decode(), runtimeCalls, has) }
  const [program, ...others] = await lookUpFilter(new FilterCache(store.root), source, action)
  if (program !== undefined && others.length === 0) return program
  throw new SandboxError(
    'FILTER_FAILED',
    `policy ${policy} needs ${others.length + 1} programs, and crun's annotation holds one; use enforce.method exec`,
  )
}
