/** podman with runc and with crun: manifests in a directory of hooks, and the shim. It takes several times as long as a runtime alone. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { CGROUP2 } from '../../test/engines/crun.ts'
import { FIXTURES, SHIM, TRACER } from '../paths.ts'
import { added, type Case, ENFORCED, type Ground, type Measure, run } from './case.ts'

/** What a container asks for. */
const ANNOTATED = Object.entries(ENFORCED).flatMap(([key, value]) => ['--annotation', `${key}=${value}`])

export function podmanCases(ground: Ground): Case[] {
  const { config } = ground.store('podman')
  const podman = lines(ground, ['--runtime', 'runc'])
  const hooks = (name: Manifest) => podman(hooksDirectory(name, config), ANNOTATED)
  const base = 'podman run'
  return [
    { name: base, measure: podman([], []) },
    added(base, 'hooks-dir', 'hook', hooks('enforce')),
    added(base, 'precreate', 'shim', hooks('precreate')),
    added(base, 'shim', 'shim', podman(['--runtime', SHIM, '--runtime-flag', `config=${config}`], ANNOTATED)),
  ]
}

export function podmanCrunCases(ground: Ground): Case[] {
  const { config } = ground.store('podman-crun')
  const podman = lines(ground, ['--runtime', 'crun'], ['--cgroups', 'disabled'], CGROUP2)
  const hooks = (name: Manifest) => podman(hooksDirectory(name, config), ANNOTATED)
  const base = 'podman run with crun'
  return [
    { name: base, measure: podman([], []) },
    added(base, 'hooks-dir', 'hook', hooks('enforce')),
    added(base, 'precreate', 'shim', hooks('precreate')),
  ]
}

/** podman run, with global options and options for the container, and what may come before podman. The result takes more of both. */
function lines(
  ground: Ground,
  globals: readonly string[],
  options: readonly string[] = [],
  before: readonly string[] = [],
) {
  const directory = ground.shortFolder()
  const own = ['--root', join(directory, 'root'), '--runroot', join(directory, 'run')]
  return (moreGlobals: readonly string[], moreOptions: readonly string[]): Measure => {
    const line = [
      ...[...before, 'podman', ...own, '--cgroup-manager', 'cgroupfs', '--events-backend', 'none'],
      ...['--storage-driver', 'vfs', ...globals, ...moreGlobals, 'run', '--rm', '--network', 'none'],
      ...['--ulimit', 'nofile=1024:1024', '--ulimit', 'nproc=1000:1000', ...options, ...moreOptions],
      ...['--volume', `${FIXTURES}:/bench:ro`, '--rootfs', ground.workspace.rootfs, '/bench/exit'],
    ]
    return () => run(line)
  }
}

/** hooks/hooks.d/oci-sandbox-NAME.json.in */
type Manifest = 'enforce' | 'precreate'

/** A directory with this manifest alone. Returns podman's options. */
function hooksDirectory(name: Manifest, config: string): string[] {
  const directory = `${config}.hooks-${name}`
  const source = join(import.meta.dirname, `../../hooks/hooks.d/oci-sandbox-${name}.json.in`)
  const manifest = JSON.parse(readFileSync(source, 'utf8'))
  manifest.hook.path = TRACER
  manifest.hook.args.push('--config', config)
  mkdirSync(directory)
  writeFileSync(join(directory, 'hook.json'), JSON.stringify(manifest))
  return ['--hooks-dir', directory]
}
