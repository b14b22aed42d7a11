import { SandboxError } from '../errors.ts'
import { cacheKey, FilterCache } from '../filter/cache.ts'
import { compileFilter } from '../filter/compile.ts'
import { seccompLibrary } from '../filter/library.ts'
import type { PolicyDocument } from '../generated/policy.ts'
import { writeAtomic } from '../host/files.ts'
import type { ViolationAction } from '../oci/annotations.ts'
import { encodePolicy } from '../policy/document.ts'
import type { Store } from '../policy/store.ts'
import type { Command } from './command.ts'
import { loadPolicy } from './load.ts'
import { ACTION_OPTION, actionOf } from './options.ts'

export const compile: Command = {
  name: 'compile',
  operands: 'POLICY',
  summary: 'Compile a policy to a seccomp filter (raw BPF).',
  details:
    'POLICY is the name of a policy in the store, or a path with a slash. The file holds struct sock_filter[], little-endian, as\n' +
    'seccomp(2), bubblewrap --seccomp and crun take it. It holds the calls of the program alone: a runtime that loads it before\n' +
    'its own last steps needs more (see oci-sandbox policy export).',
  options: {
    output: { type: 'string', short: 'o', value: 'FILE', help: 'write the filter to FILE' },
    action: ACTION_OPTION,
    'no-cache': { type: 'boolean', help: 'neither read nor write the cache of compiled filters' },
  },
  arity: [1, 1],
  async run({ operands, store, text, flag }) {
    const output = text('output')
    if (output === undefined) throw new SandboxError('USAGE', 'compile: say where to write the filter with -o FILE')
    const action = actionOf(text('action'))
    const policy = await loadPolicy(store, operands[0] as string)
    writeAtomic(
      output,
      flag('no-cache') ? compileFilter(seccompLibrary(), policy, action) : throughCache(store, policy, action),
    )
    return 0
  },
}

function throughCache(store: Store, policy: PolicyDocument, action: ViolationAction): Uint8Array {
  const cache = new FilterCache(store.root)
  const key = cacheKey(Buffer.from(encodePolicy(policy)), [policy.name, action])
  return (cache.get(key) ?? cache.put(key, compileFilter(seccompLibrary(), policy, action))).program
}
