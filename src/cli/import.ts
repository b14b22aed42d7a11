import { release } from 'node:os'
import { basename } from 'node:path'
import { SandboxError } from '../errors.ts'
import type { PolicyDocument } from '../generated/policy.ts'
import { sha256 } from '../host/hash.ts'
import { print, printError } from '../host/output.ts'
import { foldPendingRuns } from '../learn/pending.ts'
import { type ArchitectureName, architecturesOf, decodePolicy } from '../policy/document.ts'
import { SCMP_ARCH } from '../policy/export-oci.ts'
import { Collector } from '../policy/import/collector.ts'
import {
  IMPORT_FORMATS,
  type ImportFormat,
  OBSERVATIONS,
  type ReadOptions,
  readFiles,
} from '../policy/import/formats.ts'
import { addKernelCalls, policyOfImport } from '../policy/import/policy.ts'
import { mergePolicies } from '../policy/merge.ts'
import { nativeArchitecture } from '../policy/native.ts'
import { startProblems } from '../policy/startable.ts'
import { SYSCALL_NAMES } from '../policy/syscall-names.ts'
import type { Command, Invocation } from './command.ts'
import { readInput } from './input.ts'
import { systemdGroups } from './systemd-groups.ts'
import { count } from './text.ts'

/** As many files as strace -ff may leave behind. */
const MAX_FILES = 100_000

export const importCommand: Command = {
  name: 'import',
  operands: 'FILE...',
  summary: 'Make a policy of what other programs recorded or wrote, or add to one.',
  details:
    'FILE is a path, or - for standard input. Several files are one import (strace -ff leaves one for each process). What they allow is\n' +
    'added to the policy NAME, which need not exist; what they say and a policy does not is printed, and kept in the policy.\n\n' +
    'Formats:\n' +
    '  strace                      output of strace, with or without -f, -ff, -c, times and pids\n' +
    "  tracee                      Tracee's events, a JSON object a line\n" +
    '  audit                       SECCOMP and SYSCALL records of the audit log, dmesg or the journal\n' +
    '  oci, docker, kubernetes     a seccomp profile, or a config.json that has one\n' +
    '  oci-seccomp-bpf-hook        the same, as that hook writes it\n' +
    "  spo                         a SeccompProfile of Kubernetes' Security Profiles Operator (YAML or JSON)\n" +
    '  systemd                     SystemCallFilter= and SystemCallArchitectures= of a unit\n' +
    '  policy                      a policy of this program\n\n' +
    'Names that libseccomp does not know are an error, unless --skip-unknown leaves them out.',
  options: {
    format: { type: 'string', value: 'FORMAT', help: 'the format of the files (required)' },
    name: { type: 'string', value: 'NAME', help: 'the policy that they are added to (required)' },
    'dry-run': { type: 'boolean', help: 'say what would come of it, and write nothing' },
    'skip-unknown': { type: 'boolean', help: 'leave out names that libseccomp does not know' },
    architecture: {
      type: 'string',
      value: 'ARCH',
      help: 'what is native: x86_64, x86, x32, aarch64 or arm (default: as this machine)',
    },
    caps: {
      type: 'string',
      value: 'CAP,...',
      help: 'capabilities of the container, for profiles with conditions (default: none)',
    },
    kernel: {
      type: 'string',
      value: 'VERSION',
      help: "the kernel, for profiles with conditions (default: this machine's)",
    },
    comm: { type: 'string', value: 'COMM', help: 'audit and tracee: only processes with this name' },
    groups: {
      type: 'string',
      value: 'FILE',
      help: 'systemd: its groups, as systemd-analyze syscall-filter prints them',
    },
  },
  arity: [1, MAX_FILES],
  async run(invocation) {
    const { operands, store, text, flag } = invocation
    const format = formatOf(text('format'))
    const name = text('name')
    if (name === undefined) throw usage('say which policy with --name NAME')
    store.directory(name)
    const policy = await importFiles(format, name, operands, invocation)
    report(policy)
    if (flag('dry-run')) return 0
    store.prepare(name)
    await foldPendingRuns(store, name)
    await store.update(name, (stored) => (stored === undefined ? policy : mergePolicies(stored, policy)))
    print(`added to policy ${name}\n`)
    return 0
  },
}

/** What files of a format come to as a policy; the options are those of the command. Throws IMPORT_INVALID, INPUT_UNREADABLE. */
export async function importFiles(
  format: ImportFormat,
  name: string,
  files: readonly string[],
  invocation: Pick<Invocation, 'text' | 'flag'>,
): Promise<PolicyDocument> {
  if (files.filter((file) => file === '-').length > 1) throw usage('- can stand for standard input once only')
  const bytes = files.map(readInput)
  const texts = bytes.map((one) => one.toString('utf8'))
  const provenance = {
    format,
    ...(files[0] === '-' ? {} : { source: basename(files[0] as string).slice(0, 256) }),
    digest: `sha256:${sha256(...bytes)}`,
    date: new Date().toISOString(),
  }
  if (format === 'policy') {
    const policies = texts.map((text, index) => decodePolicy(text, files[index] as string))
    const merged = policies.reduce((all, next) => mergePolicies(all, next))
    return { ...merged, name, imports: [...(merged.imports ?? []), provenance] }
  }
  const collector = new Collector(SYSCALL_NAMES, { observed: OBSERVATIONS.has(format) })
  readFiles(format, texts, collector, await readOptions(format, invocation), (index, problem) => {
    throw invalid(files[index] as string, format, problem)
  })
  const shown = files.length === 1 ? (files[0] as string) : `${files[0]} and ${files.length - 1} more`
  refuseUnknown(collector, shown, invocation.flag('skip-unknown'))
  if (collector.empty) {
    const notes = collector.notes.length === 0 ? '' : ` (${collector.notes.join('; ').slice(0, 300)})`
    throw invalid(shown, format, `no system call is in it${notes}`)
  }
  if (OBSERVATIONS.has(format)) addKernelCalls(collector)
  return policyOfImport(name, collector, provenance)
}

function refuseUnknown(collector: Collector, file: string, skip: boolean): void {
  const { unknown } = collector
  if (unknown.size === 0) return
  const listed = [...unknown].slice(0, 8).map(([name, at]) => `${name} (${at})`)
  const more = unknown.size > listed.length ? [`and ${unknown.size - listed.length} more`] : []
  if (!skip) {
    throw new SandboxError(
      'IMPORT_INVALID',
      `${file}: no known call: ${[...listed, ...more].join(', ')}; correct the file, say what it was recorded on with --architecture, or leave them out with --skip-unknown`,
    )
  }
  for (const name of unknown.keys()) collector.note('names that are no known call (left out)', name)
}

async function readOptions(format: ImportFormat, { text }: Pick<Invocation, 'text'>): Promise<ReadOptions> {
  const yaml = format === 'spo' ? (await import('./yaml.ts')).parseYamlObject : undefined
  const groupsFile = text('groups')
  return {
    architecture: architectureOf(text('architecture')),
    capabilities: capabilitiesOf(text('caps')),
    kernel: text('kernel') ?? release(),
    comm: text('comm'),
    groups: () => systemdGroups(groupsFile),
    yaml: (source, refuse) => (yaml === undefined ? refuse('is no YAML') : yaml(source, refuse)),
  }
}

function formatOf(format: string | undefined): ImportFormat {
  const known = IMPORT_FORMATS.find((one) => one === format)
  if (known === undefined) throw usage(`expected --format ${IMPORT_FORMATS.join('|')}, found ${format ?? 'none'}`)
  return known
}

function architectureOf(text: string | undefined): ArchitectureName {
  const architecture = text ?? nativeArchitecture(process.arch)
  if (architecture === undefined || !Object.hasOwn(SCMP_ARCH, architecture))
    throw usage(`--architecture: expected ${Object.keys(SCMP_ARCH).join(', ')}, found ${architecture ?? process.arch}`)
  return architecture as ArchitectureName
}

function capabilitiesOf(text: string | undefined): Set<string> {
  const names = (text ?? '')
    .split(/[,\s]+/)
    .filter(Boolean)
    .map((name) => name.toUpperCase())
  return new Set(names.map((name) => (name.startsWith('CAP_') ? name : `CAP_${name}`)))
}

/** What the files allow, what is not in the policy, and what cannot work: the last two on standard error. */
function report(policy: PolicyDocument): void {
  for (const [architecture, { syscalls }] of architecturesOf(policy)) {
    const ruled = syscalls.filter(({ rules }) => rules !== undefined).length
    const certain = ruled === 0 ? '' : `, ${ruled} of them with certain arguments only`
    print(`${architecture}: ${count(syscalls.length, 'syscall')}${certain}\n`)
  }
  for (const note of policy.imports?.at(-1)?.notes ?? []) printError(`oci-sandbox: not carried over: ${note}\n`)
  for (const problem of startProblems(policy)) printError(`oci-sandbox: warning: ${problem}\n`)
}

function invalid(file: string, format: string, problem: string): SandboxError {
  const what = file === '-' ? 'standard input' : file
  return new SandboxError('IMPORT_INVALID', `cannot import ${what} as ${format}: ${problem}`)
}

function usage(problem: string): SandboxError {
  return new SandboxError('USAGE', `import: ${problem}`)
}
