import { SandboxError } from '../errors.ts'
import { seccompLibrary } from '../filter/library.ts'
import type { PolicyDocument } from '../generated/policy.ts'
import { writeOutput } from '../host/files.ts'
import { print, printError } from '../host/output.ts'
import { ownCallsOf } from '../policy/calibration.ts'
import type { ArchitectureName } from '../policy/document.ts'
import { withLosses } from '../policy/export/lossy.ts'
import { oneList } from '../policy/export/one-list.ts'
import { pseudoFilterCode } from '../policy/export/pfc.ts'
import { spoProfile } from '../policy/export/spo.ts'
import { systemdDropIn } from '../policy/export/systemd.ts'
import { type ExportOptions, exportOci, SCMP_ARCH } from '../policy/export-oci.ts'
import { SYSCALL_NAMES } from '../policy/syscall-names.ts'
import { widenPolicy } from '../policy/widen.ts'
import type { Command, Invocation } from './command.ts'
import { compile } from './compile.ts'
import { RUNTIME_OPTION, runtimePathIfInstalled } from './installed-runtime.ts'
import { loadPolicy } from './load.ts'
import { ACTION_OPTION, actionOf } from './options.ts'

const FORMATS = ['oci', 'docker', 'kubernetes', 'spo', 'systemd', 'bpf', 'pfc'] as const

type Format = (typeof FORMATS)[number]

export const policyExport: Command = {
  name: 'policy export',
  operands: 'POLICY',
  summary: 'Export a policy for other tools.',
  details:
    'POLICY is the name of a policy in the store, or a path with a slash.\n\n' +
    'Formats:\n' +
    '  oci, docker  a seccomp profile: docker run and podman run --security-opt seccomp=FILE, linux.seccomp of a config.json\n' +
    '  kubernetes   the same, for a localhost profile: a file below seccomp/ of the kubelet, and type: Localhost in the pod\n' +
    "  spo          a SeccompProfile (YAML) for Kubernetes' Security Profiles Operator\n" +
    '  systemd      a drop-in for a unit: SystemCallFilter= and SystemCallArchitectures=\n' +
    '  bpf          the filter itself, as oci-sandbox compile writes it (needs -o FILE)\n' +
    "  pfc          libseccomp's pseudo filter code, for people\n\n" +
    'The first four are in force while the runtime itself still works, so they also hold the calls that runc and crun need.\n' +
    'None of the formats but bpf can say that newer calls get ENOSYS. What else a format cannot hold is an error, unless --lossy\n' +
    'leaves it out or widens it and says so.',
  options: {
    format: { type: 'string', value: FORMATS.join('|'), help: 'the format (default: oci)' },
    output: { type: 'string', short: 'o', value: 'FILE', help: 'write to FILE instead of standard output' },
    action: ACTION_OPTION,
    architecture: {
      type: 'string',
      value: 'ARCH',
      help: 'only the calls of this architecture, where the policy has several',
    },
    runtime: { ...RUNTIME_OPTION, help: "add this runtime's own calls, not those of the host configuration's" },
    'no-runtime-calls': { type: 'boolean', help: "leave out the runtimes' own calls" },
    lossy: { type: 'boolean', help: 'leave out, or widen, what the format cannot hold, and say what' },
  },
  arity: [1, 1],
  async run(invocation) {
    const { operands, store, text, flag } = invocation
    const format = formatOf(text('format') ?? 'oci')
    if (format === 'bpf') return compile.run(invocation)
    const options = { action: actionOf(text('action')), runtimeCalls: ownCalls(invocation, format) }
    let policy = widenPolicy(only(await loadPolicy(store, operands[0] as string), text('architecture')))
    if (flag('lossy') && format !== 'pfc') {
      const lossy = withLosses(policy, format === 'systemd')
      for (const loss of lossy.losses) printError(`oci-sandbox: ${loss}\n`)
      policy = lossy.policy
    }
    const encoded = await encode(format, policy, options)
    const output = text('output')
    if (output === undefined) print(encoded)
    else writeOutput(output, encoded)
    return 0
  },
}

/** Said on standard error, where the profile does not go. */
function ownCalls(invocation: Invocation, format: Exclude<Format, 'bpf'>): readonly string[] {
  if (invocation.flag('no-runtime-calls') || format === 'pfc' || format === 'systemd') return []
  const runtime = runtimePathIfInstalled(invocation)
  const { calls, from } = ownCallsOf(invocation.settings.store, runtime === undefined ? [] : [runtime])
  printError(`oci-sandbox: the profile holds the runtime's own calls from ${from}\n`)
  return calls
}

function formatOf(text: string): Format {
  const format = FORMATS.find((known) => known === text)
  if (format === undefined)
    throw new SandboxError('USAGE', `policy export: expected --format ${FORMATS.join('|')}, found ${text}`)
  return format
}

async function encode(format: Exclude<Format, 'bpf'>, policy: PolicyDocument, options: ExportOptions): Promise<string> {
  switch (format) {
    case 'pfc':
      return pseudoFilterCode(seccompLibrary(), policy, options.action)
    case 'systemd':
      return systemdDropIn(policy, oneList(policy, SYSCALL_NAMES), options.action)
    case 'spo': {
      const { formatYaml } = await import('./yaml.ts')
      return formatYaml(spoProfile(policy, exportOci(oneList(policy, SYSCALL_NAMES), options)))
    }
    case 'oci':
    case 'docker':
    case 'kubernetes':
      return `${encodeJson(exportOci(oneList(policy, SYSCALL_NAMES), options))}\n`
  }
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
function encodeJson(value: unknown): string {
  const marked = JSON.stringify(value, (_, item) => (typeof item === 'bigint' ? `uint64:${item}` : item), 2)
  return marked.replace(/"uint64:([0-9]+)"/g, '$1')
}
