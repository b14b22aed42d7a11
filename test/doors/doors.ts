/** Every door as one interface, for tests that do the same through each of them. Its containers have the sandbox's /tmp. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { execa } from 'execa'
import { Containerd } from '../engines/containerd.ts'
import { Cri, type Pod } from '../engines/cri.ts'
import { CGROUP2 } from '../engines/crun.ts'
import { Docker } from '../engines/docker.ts'
import { until } from '../lib/events.ts'
import { annotated, container, hooksDirectory, knowing, type Podman, podman } from '../lib/podman.ts'
import { type Container, type Result, resultOf, Sandbox, SHIM } from '../lib/sandbox.ts'

type Teardown = Parameters<typeof Sandbox.create>[0]

/** `plain`: neither learned nor enforced. */
export type Mode = 'learn' | 'enforce' | 'plain'

export interface Begun {
  /** The end of the client: that of the container, or an error. Never rejects. */
  readonly ended: Promise<Result>
  /** What stands on the command lines of the processes that are about this container alone. */
  words(): readonly string[]
}

export interface Door {
  readonly sandbox: Sandbox
  /** Starts /fixtures/act with these arguments in a container whose policy is `test`. `name` must be new. */
  begin(name: string, mode: Mode, args: readonly string[]): Promise<Begun>
  /** Removes what is left of a container, whose parts may have been killed. */
  remove(name: string): Promise<unknown>
  /** Ends what the door itself keeps running. */
  close?(): Promise<void>
}

const of = (mode: Mode): Readonly<Record<string, string>> =>
  mode === 'plain' ? {} : { 'io.sandbox.mode': mode, 'io.sandbox.policy': 'test' }

const program = (args: readonly string[]) => ['/fixtures/act', ...args]

interface CommandLine {
  readonly runtime: 'runc' | 'crun'
  readonly method?: 'exec' | 'bundle' | 'crun-bpf'
  /** The runtime itself, with hooks in config.json. */
  readonly hooks?: true
}

type Line = [string, ...string[]]

const QUIET = { reject: false, stdin: 'ignore' } as const

/** A runtime on the command line. */
async function commandLine(t: Teardown, { runtime, method = 'exec', hooks }: CommandLine): Promise<Door> {
  const sandbox = await Sandbox.create(t, { runtime, enforce: { method } })
  const own = hooks ? [runtime] : [SHIM, '--config', sandbox.config]
  const before = runtime === 'crun' ? [...CGROUP2, ...own, '--cgroup-manager=disabled'] : own
  const execute = async (...args: string[]) => {
    const [file, ...rest] = [...before, ...sandbox.runcArgs(...args)] as Line
    return resultOf(await execa(file, rest, QUIET))
  }
  return {
    sandbox,
    async begin(name, mode, args) {
      const more: Container = { args: program(args), writable: true, ...(mode === 'plain' ? {} : { mode }) }
      const bundle = sandbox.bundle(hooks ? more : { ...more, hooks: {} })
      return { ended: execute('run', '--bundle', bundle, name), words: () => [name, bundle] }
    },
    remove: (name) => execute('delete', '--force', name),
  }
}

/** Programs that join a container through the shim. What learns is a container of its own. */
async function joining(t: Teardown): Promise<Door> {
  const door = await commandLine(t, { runtime: 'runc' })
  const { sandbox } = door
  const containers = new Map<Mode, Promise<string>>()
  const start = async (mode: Mode): Promise<string> => {
    const id = `container-${mode}-${process.pid}`
    const more = { hooks: {}, writable: true, args: program(['sleep', '1000']) }
    const bundle = sandbox.bundle(mode === 'plain' ? more : { ...more, mode })
    await sandbox.shimInto('/dev/null', bundle, 'create', id)
    const { exitCode, stderr } = await sandbox.shim('start', id)
    if (exitCode !== 0) throw new Error(stderr)
    return id
  }
  const close = async () => {
    for (const id of await Promise.all(containers.values())) await door.remove(id)
    containers.clear()
  }
  t.teardown(close)
  return {
    sandbox,
    async begin(name, mode, args) {
      if (mode === 'learn') return door.begin(name, mode, args)
      if (!containers.has(mode)) containers.set(mode, start(mode))
      const id = (await containers.get(mode)) as string
      return { ended: sandbox.shim('exec', id, ...program(args)), words: () => [name] }
    },
    // A program that joined is gone when it has ended. What learned was a container.
    remove: (name) => door.remove(name),
    close,
  }
}

async function podmanDoor(
  sandbox: Sandbox,
  door: Omit<Podman, 'sandbox'>,
  options: readonly string[] = [],
): Promise<Door> {
  const whole = { sandbox, ...door }
  return {
    sandbox,
    async begin(name, mode, args) {
      const id = join(sandbox.directory, `${name}.id`)
      const more = ['--name', name, '--cidfile', id, ...options, ...(mode === 'plain' ? [] : annotated(mode))]
      return {
        ended: podman(whole, 'run', '--rm', ...container(sandbox, more, program(args).join(' '))),
        words: () => (existsSync(id) ? [name, readFileSync(id, 'utf8') || name] : [name]),
      }
    },
    remove: (name) => podman(whole, 'rm', '--force', '--time', '0', '--ignore', name),
  }
}

const CGROUPFS = ['--cgroup-manager', 'cgroupfs']

async function ctr(t: Teardown): Promise<Door> {
  const sandbox = await Sandbox.create(t)
  const containerd = await Containerd.start(t, sandbox, sandbox.runtime())
  return {
    sandbox,
    async begin(name, mode, args) {
      return { ended: containerd.run(name, of(mode), ...program(args)), words: () => [name] }
    },
    async remove(name) {
      await containerd.ctr('tasks', 'delete', '--force', name)
      await containerd.ctr('containers', 'delete', name)
    },
  }
}

/** A pod for each container. */
async function cri(t: Teardown): Promise<Door> {
  const sandbox = await Sandbox.create(t)
  const containerd = await Containerd.start(t, sandbox, sandbox.runtime())
  const client = new Cri(containerd.socket, containerd.directory)
  const pods = new Map<string, Pod>()
  return {
    sandbox,
    async begin(name, mode, args) {
      const pod = await client.startPod('oci-sandbox', {})
      pods.set(name, pod)
      const made = await client.create(pod, of(mode), program(args), { '/tmp': sandbox.tmp })
      const run = async (): Promise<Result> => {
        try {
          await client.call('StartContainer', { 1: made.id })
          const { exitCode, output } = await client.end(made)
          return { exitCode, stdout: output, stderr: '' }
        } catch (error) {
          return { exitCode: undefined, stdout: '', stderr: String(error) }
        }
      }
      return { ended: run(), words: () => [made.id, pod.id] }
    },
    async remove(name) {
      const pod = pods.get(name)
      if (pod === undefined) return
      // As the kubelet does: where the pod's shim was killed, the engine takes a moment to see that its containers have ended.
      let problem: unknown
      await until('the pod is removed', async () => {
        problem = await client.removePod(pod.id).then(() => undefined, String)
        return problem === undefined
      }).catch((error) => {
        throw new Error(String(problem), { cause: error })
      })
      pods.delete(name)
    },
  }
}

async function docker(t: Teardown): Promise<Door> {
  const sandbox = await Sandbox.create(t)
  const path = sandbox.runtime()
  const mode = (name: string) => ({ path, runtimeArgs: ['--mode', name, '--policy', 'test'] })
  const runtimes = { learn: mode('learn'), enforce: mode('enforce'), plain: { path } }
  const engine = await Docker.start(t, sandbox, runtimes)
  return {
    sandbox,
    async begin(name, mode, args) {
      const id = await engine.create(mode, ['--rm', '--name', name], ...program(args))
      return { ended: engine.docker('start', '--attach', id), words: () => [name, id] }
    },
    remove: (name) => engine.docker('rm', '--force', name),
  }
}

/** The programs that a door is made of, besides runc. */
export function programsOf(door: string): string[] {
  if (door === 'Docker') return ['dockerd']
  if (door.endsWith('CRI')) return ['containerd']
  return ['podman', 'crun', 'containerd'].filter((program) => door.includes(program))
}

export const DOORS = {
  'runc with hooks': (t: Teardown) => commandLine(t, { runtime: 'runc', hooks: true }),
  'runc behind the shim': (t: Teardown) => commandLine(t, { runtime: 'runc' }),
  'runc exec behind the shim': joining,
  'runc, filter in linux.seccomp': (t: Teardown) => commandLine(t, { runtime: 'runc', method: 'bundle' }),
  'crun with hooks': (t: Teardown) => commandLine(t, { runtime: 'crun', hooks: true }),
  'crun behind the shim': (t: Teardown) => commandLine(t, { runtime: 'crun' }),
  "crun, filter in crun's annotation": (t: Teardown) => commandLine(t, { runtime: 'crun', method: 'crun-bpf' }),
  async 'podman with hook manifests'(t: Teardown) {
    const sandbox = await Sandbox.create(t)
    const hooks = hooksDirectory(sandbox, 'hooks.d', ['learn', 'enforce'])
    return podmanDoor(sandbox, { globals: [...CGROUPFS, '--hooks-dir', hooks] })
  },
  async 'podman behind the shim'(t: Teardown) {
    const sandbox = await Sandbox.create(t)
    return podmanDoor(sandbox, { runtime: SHIM, runtimeFlags: [`config=${sandbox.config}`] })
  },
  async 'podman and crun with precreate'(t: Teardown) {
    const sandbox = await Sandbox.create(t)
    const hooks = hooksDirectory(sandbox, 'podman-hooks.d', ['precreate'])
    const globals = [...CGROUPFS, '--hooks-dir', hooks]
    return podmanDoor(sandbox, { globals, prefix: CGROUP2, runtime: 'crun' }, ['--cgroups=disabled'])
  },
  async 'podman and crun behind the shim'(t: Teardown) {
    const sandbox = await Sandbox.create(t, { runtime: 'crun' })
    // Not with --runtime-flag: podman deletes a container without it when it has ended, and the usual configuration has runc.
    const runtime = sandbox.runtime()
    return podmanDoor(sandbox, { runtime, prefix: [...CGROUP2, ...knowing(sandbox, runtime)] }, ['--cgroups=disabled'])
  },
  'containerd: ctr': ctr,
  "Kubernetes' way: CRI": cri,
  Docker: docker,
} satisfies Readonly<Record<string, (t: Teardown) => Promise<Door>>>
