import { SandboxError } from '../errors.ts'
import { print } from '../host/output.ts'
import { Tree } from '../host/tree.ts'
import { containerd } from '../setup/containerd.ts'
import { crio } from '../setup/crio.ts'
import { unifiedDiff } from '../setup/diff.ts'
import { docker } from '../setup/docker.ts'
import type { Door, Options, Plan } from '../setup/door.ts'
import { podman } from '../setup/podman.ts'
import type { Command, Invocation, Option } from './command.ts'

const DOORS: readonly Door[] = [podman, containerd, docker, crio]

const DOOR_OPTIONS = Object.fromEntries(
  DOORS.map(({ name, help }): [string, Option] => [name, { type: 'boolean', help }]),
)
const COMMON: Readonly<Record<string, Option>> = {
  'hooks-dir': { type: 'string', value: 'DIR', help: 'podman: where the hook manifests are' },
  root: { type: 'string', value: 'DIR', help: 'the system whose configuration is meant is mounted at DIR' },
  'dry-run': { type: 'boolean', help: 'show what would be changed, and change nothing' },
}

export const install: Command = {
  name: 'install',
  summary: 'Tell podman, containerd, Docker or CRI-O about oci-sandbox.',
  details:
    'Edits the configuration of those that are named, shows the changes as a diff, and says what to restart. What stands in the\n' +
    'files otherwise stays as it is; FILE.oci-sandbox.bak is the file as it was before. With --config FILE the hooks and runtimes\n' +
    'use that host configuration. Where a file is not understood, nothing at all is changed.',
  options: {
    ...DOOR_OPTIONS,
    required: {
      type: 'boolean',
      help: 'podman: run the hooks for every container, as required in the host configuration needs',
    },
    precreate: { type: 'boolean', help: 'podman: also the precreate hook, for enforce.method bundle or crun-bpf' },
    runtime: { type: 'boolean', help: 'podman: also the shim, for podman --runtime oci-sandbox' },
    ...COMMON,
  },
  arity: [0, 0],
  run: (invocation) => work(invocation, 'install'),
}

export const uninstall: Command = {
  name: 'uninstall',
  summary: 'Take from podman, containerd, Docker or CRI-O what install told them.',
  details: 'Policies and the host configuration stay.',
  options: { ...DOOR_OPTIONS, ...COMMON },
  arity: [0, 0],
  run: (invocation) => work(invocation, 'uninstall'),
}

/** All is planned before anything is changed. */
function work(invocation: Invocation, action: 'install' | 'uninstall'): number {
  const { flag, text } = invocation
  const doors = DOORS.filter(({ name }) => flag(name))
  if (doors.length === 0) {
    throw new SandboxError('USAGE', `${action}: say whom to tell: ${DOORS.map(({ name }) => `--${name}`).join(', ')}`)
  }
  const tree = new Tree(text('root'))
  const plans = doors.map((door) => door[action](tree, optionsOf(invocation)))
  show(tree, plans, flag('dry-run'))
  if (!flag('dry-run')) for (const { changes } of plans) for (const change of changes) tree.apply(change)
  return 0
}

function optionsOf({ flag, text, settings }: Invocation): Options {
  const config = text('config')
  const hooksDirectory = text('hooks-dir')
  if (hooksDirectory !== undefined && !hooksDirectory.startsWith('/')) {
    throw new SandboxError('USAGE', `--hooks-dir ${hooksDirectory}: expected an absolute path`)
  }
  const { method } = settings.enforce
  return {
    ...(config === undefined ? {} : { config }),
    ...(hooksDirectory === undefined ? {} : { hooksDirectory }),
    every: flag('required'),
    precreate: flag('precreate') || method === 'bundle' || method === 'crun-bpf',
    runtime: flag('runtime'),
    required: settings.required,
  }
}

function show(tree: Tree, plans: readonly Plan[], dry: boolean): void {
  const changes = plans.flatMap((plan) => plan.changes)
  const diffs = changes.map(({ path, before, after }) => unifiedDiff(tree.path(path), before, after)).join('')
  const notes = plans.filter(differs).flatMap((plan) => plan.notes)
  const lines = diffs === '' ? ['nothing to change'] : [...(dry ? ['a dry run: nothing was changed'] : []), ...notes]
  print(`${diffs}${lines.map((line) => `${line}\n`).join('')}`)
}

function differs({ changes }: Plan): boolean {
  return changes.some(({ before, after }) => before !== after)
}
