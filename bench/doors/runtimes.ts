/** runc and crun on the command line: hooks in config.json, and the shim in their place. */
import { CGROUP2 } from '../../test/engines/crun.ts'
import type { Container, Store } from '../container.ts'
import { SHIM } from '../paths.ts'
import { directHook, fixture, hook } from '../sandbox.ts'
import { added, type Case, ENFORCED, type Ground, type Measure, run } from './case.ts'

const PROGRAM = fixture('exit')
const ANNOTATED: Container = { ...PROGRAM, annotations: ENFORCED }

const RUNC = ['runc']

const shim = ({ config }: Store) => [SHIM, '--config', config]

export function runcCases(ground: Ground): Case[] {
  const { workspace } = ground
  const store = ground.store('runc')
  const hooked: Container = { ...ANNOTATED, hooks: { createRuntime: [hook('enforce', store)] } }
  const asked: Container = { ...ANNOTATED, hooks: { createRuntime: [directHook('enforce', store)] } }
  const whole = (runtime: readonly string[], container: Container): Measure => {
    const { id, bundle, state } = workspace.bundle(container)
    return () => run([...runtime, '--root', state, 'run', '--bundle', bundle, id])
  }
  const steps = (runtime: readonly string[], container: Container): Measure => {
    const { id, bundle, state } = workspace.bundle(container)
    const step = (...args: string[]) => run([...runtime, '--root', state, ...args])
    return () => {
      const ms = step('create', '--bundle', bundle, id) + step('start', id)
      step('delete', '--force', id)
      return ms
    }
  }
  const once = 'runc run'
  const twice = 'runc create and start'
  return [
    { name: once, measure: whole(RUNC, PROGRAM) },
    added(once, 'hook', 'hook', whole(RUNC, hooked)),
    added(once, 'hook that is asked each time', undefined, whole(RUNC, asked)),
    added(once, 'shim', 'shim', whole(shim(store), ANNOTATED)),
    { name: twice, measure: steps(RUNC, PROGRAM) },
    added(twice, 'hook', 'hook', steps(RUNC, hooked)),
    added(twice, 'shim', 'shim', steps(shim(store), ANNOTATED)),
  ]
}

export function crunCases(ground: Ground): Case[] {
  const { workspace } = ground
  const store = ground.store('crun', { runtime: 'crun' })
  const bpf = ground.store('crun-bpf', { runtime: 'crun', enforce: { method: 'crun-bpf' } })
  const hooked: Container = { ...ANNOTATED, hooks: { createRuntime: [hook('enforce', store)] } }
  const whole = (runtime: readonly string[], container: Container): Measure => {
    const { id, bundle } = workspace.bundle(container)
    const line = [...CGROUP2, ...runtime, '--cgroup-manager=disabled', '--root', workspace.folder('crun')]
    return () => run([...line, 'run', '--bundle', bundle, id])
  }
  const base = 'crun run'
  return [
    { name: base, measure: whole(['crun'], PROGRAM) },
    added(base, 'hook', 'hook', whole(['crun'], hooked)),
    added(base, 'shim', 'shim', whole(shim(store), ANNOTATED)),
    added(base, "shim, filter in crun's annotation", 'shim', whole(shim(bpf), ANNOTATED)),
  ]
}
