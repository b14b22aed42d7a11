import { SandboxError } from '../errors.ts'
import type { PolicyDocument } from '../generated/policy.ts'
import { writeAtomic } from '../host/files.ts'
import { print } from '../host/output.ts'
import type { ArchitectureName } from '../policy/document.ts'
import { exportOci, SCMP_ARCH } from '../policy/export-oci.ts'
import type { Command } from './command.ts'
import { loadPolicy } from './load.ts'
import { ACTION_OPTION, actionOf } from './options.ts'

export const policyExport: Command = {
  name: 'policy export',
  operands: 'POLICY',
  summary: 'Export a policy as a seccomp profile for other tools.',
  details:
    'POLICY is the name of a policy in the store, or a path with a slash.\n\n' +
    'The format oci is what docker run and podman run --security-opt seccomp=FILE take, and linux.seccomp of a config.json. Such\n' +
    'a profile is in force while the runtime itself still works, so it also holds the calls that runc and crun need.',
  options: {
    format: { type: 'string', value: 'oci', help: 'the format of the profile (default: oci)' },
    output: { type: 'string', short: 'o', value: 'FILE', help: 'write to FILE instead of standard output' },
    action: ACTION_OPTION,
    architecture: {
      type: 'string',
      value: 'ARCH',
      help: 'only the calls of this architecture, where the policy has several',
    },
    'no-runtime-calls': { type: 'boolean', help: "leave out the runtimes' own calls" },
  },
  arity: [1, 1],
  async run({ operands, store, text, flag }) {
    if ((text('format') ?? 'oci') !== 'oci')
      throw new SandboxError('USAGE', `policy export: expected --format oci, found ${text('format')}`)
    const policy = only(await loadPolicy(store, operands[0] as string), text('architecture'))
    const profile = exportOci(policy, { action: actionOf(text('action')), runtimeCalls: !flag('no-runtime-calls') })
    const encoded = `${encode(profile)}\n`
    const output = text('output')
    if (output === undefined) print(encoded)
    else writeAtomic(output, encoded)
    return 0
  },
}

function only(policy: PolicyDocument, architecture: string | undefined): PolicyDocument {
  if (architecture === undefined) return policy
  const name = architecture as ArchitectureName
  const chosen = Object.hasOwn(SCMP_ARCH, name) ? policy.architectures[name] : undefined
  if (chosen === undefined) {
    const known = Object.keys(policy.architectures).join(', ')
    throw new SandboxError('USAGE', `--architecture ${architecture}: policy ${policy.name} has ${known || 'none'}`)
  }
  return { ...policy, architectures: { [name]: chosen } }
}

/** As JSON, where 64-bit integers stand as they are: the profile's readers are written in Go and C. */
function encode(value: unknown): string {
  const marked = JSON.stringify(value, (_, item) => (typeof item === 'bigint' ? `uint64:${item}` : item), 2)
  return marked.replace(/"uint64:([0-9]+)"/g, '$1')
}
