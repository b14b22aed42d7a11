import { SandboxError } from '../errors.ts'
import type { PolicyDocument } from '../generated/policy.ts'
import { sha256 } from '../host/hash.ts'
import { print } from '../host/output.ts'
import { type ArchitectureName, architecturesOf, decodePolicy, encodePolicy } from '../policy/document.ts'
import { SCMP_ARCH } from '../policy/export-oci.ts'
import { SYSCALL_NAMES } from '../policy/syscall-names.ts'
import { translatePolicy } from '../policy/translate.ts'
import type { Command, Invocation } from './command.ts'
import { loadPolicy } from './load.ts'
import { keptNotes, replaceMade } from './made.ts'

/** The mark of a policy that was translated, and that may be replaced by its next version. */
const FORMAT = 'translation'

export const policyTranslate: Command = {
  name: 'policy translate',
  operands: 'POLICY',
  summary: 'Make a policy for another architecture of a learned one.',
  details:
    'POLICY is the name of a policy in the store, or a path with a slash; it stays as it is. A call goes over by its name, or as what does\n' +
    'the same there (openat for open, clone for fork); its arguments where they mean the same. What cannot be carried over is left out and\n' +
    'said, and what is made as another call as well; the policy keeps that in its imports. Nobody has seen the result work: enforce it with\n' +
    'io.sandbox.action=log first, or learn there as well and merge.',
  options: {
    to: { type: 'string', value: 'ARCH', help: 'the architecture: x86_64, x86, x32, aarch64 or arm (required)' },
    from: {
      type: 'string',
      value: 'ARCH',
      help: "the policy's architecture to start from (default: the one with most calls)",
    },
    name: { type: 'string', value: 'NAME', help: 'the policy that is made (default: POLICY-ARCH)' },
    widen: {
      type: 'boolean',
      help: 'allow calls with any arguments where theirs cannot be carried over, and say which',
    },
    'dry-run': { type: 'boolean', help: 'say what would come of it, and write nothing' },
  },
  arity: [1, 1],
  async run(invocation) {
    const { operands, store, text, flag, settings } = invocation
    const to = architectureOf('to', text('to'))
    if (to === undefined) throw usage('say for which architecture with --to ARCH')
    const policy = await loadPolicy(store, operands[0] as string)
    const from = sourceOf(policy, architectureOf('from', text('from')))
    if (from === to)
      throw usage(`policy ${policy.name} is for ${to} already; choose another --to, or say which list with --from`)
    const name = text('name') ?? `${policy.name}-${to}`
    store.directory(name)
    const options = { from, to, widen: flag('widen'), siblings: settings.siblings ?? true }
    const { policy: result, notes } = translatePolicy(policy, options, SYSCALL_NAMES)
    for (const note of notes) print(`${note}\n`)
    const provenance = {
      format: FORMAT,
      source: policy.name,
      digest: `sha256:${sha256(encodePolicy(policy))}`,
      date: new Date().toISOString(),
      ...keptNotes(notes),
    }
    const imports = [...(policy.imports ?? []).filter(({ format }) => format !== FORMAT), provenance]
    const made = decodePolicy(encodePolicy({ ...result, name, imports }), 'that the translation makes')
    if (!flag('dry-run')) await replaceMade(store, made, FORMAT)
    return 0
  },
}

function sourceOf(policy: PolicyDocument, chosen: ArchitectureName | undefined): ArchitectureName {
  const lists = architecturesOf(policy).sort(([, a], [, b]) => b.syscalls.length - a.syscalls.length)
  const names = lists.map(([name]) => name)
  if (chosen !== undefined && !names.includes(chosen))
    throw usage(`--from ${chosen}: policy ${policy.name} has ${names.sort().join(', ') || 'none'}`)
  const [most] = names
  if (most === undefined)
    throw new SandboxError('POLICY_EMPTY', `policy ${policy.name} allows nothing; learn the container first`)
  return chosen ?? most
}

function architectureOf(option: string, text: ReturnType<Invocation['text']>): ArchitectureName | undefined {
  if (text !== undefined && !Object.hasOwn(SCMP_ARCH, text))
    throw usage(`--${option} ${text}: expected ${Object.keys(SCMP_ARCH).join(', ')}`)
  return text as ArchitectureName | undefined
}

function usage(problem: string): SandboxError {
  return new SandboxError('USAGE', `policy translate: ${problem}`)
}
