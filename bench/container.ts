/** Containers on stock runc, run to their end one after the other, in a workspace that is removed at the end. */
import { spawnSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { BUILD } from './paths.ts'

export interface Hook {
  readonly path: string
  readonly args: readonly string[]
}

export interface Container {
  readonly args: readonly string[]
  readonly env?: readonly string[]
  /** Host directories that the container may read, by the place where it sees them. */
  readonly mounts?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
  readonly hooks?: { readonly createRuntime?: readonly Hook[]; readonly poststop?: readonly Hook[] }
  /** Without a network namespace of its own. */
  readonly hostNetwork?: boolean
  /** linux.seccomp: a profile that the runtime itself loads. */
  readonly seccomp?: unknown
}

export interface Run {
  /** From the start of `runc run` to its end. */
  readonly ms: number
  readonly stdout: string
}

export class Workspace {
  readonly directory: string
  readonly #root: string
  readonly #state: string
  readonly #teardown: (() => unknown)[] = []
  #ended: Promise<void> | undefined
  #count = 0

  constructor() {
    mkdirSync(BUILD, { recursive: true })
    this.directory = mkdtempSync(join(BUILD, 'run-'))
    this.#root = this.folder('rootfs')
    this.#state = join(this.directory, 'runc')
    for (const name of ['usr', 'etc', 'bench', 'tree', 'proc', 'dev', 'tmp']) mkdirSync(join(this.#root, name))
    for (const name of ['bin', 'lib', 'lib32', 'lib64', 'sbin']) symlinkSync(`usr/${name}`, join(this.#root, name))
  }

  /** Has something done at the end; what came last is done first. */
  teardown(handler: () => unknown): void {
    this.#teardown.push(handler)
  }

  /** Where the containers' root file system is. */
  get rootfs(): string {
    return this.#root
  }

  folder(name: string): string {
    const path = join(this.directory, name)
    mkdirSync(path, { recursive: true })
    return path
  }

  /** A host configuration with a store of its own, and more settings. */
  store(name: string, settings: object = {}): Store {
    const root = this.folder(`store-${name}`)
    const config = join(this.directory, `${name}.json`)
    writeFileSync(config, JSON.stringify({ store: root, ...settings }))
    return { root, config }
  }

  /** Writes a bundle, for an id of its own below a state directory that is cleared at the end. */
  bundle(container: Container): { readonly id: string; readonly bundle: string; readonly state: string } {
    const id = `oci-sandbox-bench-${process.pid}-${++this.#count}`
    const bundle = this.folder(id)
    writeFileSync(join(bundle, 'config.json'), JSON.stringify(configJson(container, this.#root)))
    return { id, bundle, state: this.#state }
  }

  /** Writes a bundle; the result runs it, behind the command `around`, and throws where the container does not end with exit code 0. */
  prepare(container: Container, around: readonly string[] = []): () => Run {
    const { id, bundle } = this.bundle(container)
    const [program = '', ...args] = [...around, 'runc', '--root', this.#state, 'run', '--bundle', bundle, id]
    return () => {
      const start = process.hrtime.bigint()
      const ended = spawnSync(program, args, {
        stdio: ['ignore', 'pipe', 'pipe'],
        encoding: 'utf8',
      })
      const ms = Number(process.hrtime.bigint() - start) / 1e6
      if (ended.status !== 0) {
        const how = ended.error?.message ?? `exit code ${ended.status}, signal ${ended.signal}: ${ended.stderr.trim()}`
        throw new Error(`runc run of ${container.args.join(' ')}: ${how}`)
      }
      return { ms, stdout: ended.stdout }
    }
  }

  /** Once, also where a signal and the end of the benchmarks ask for it. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#ended ??= this.#end()
    return this.#ended
  }

  async #end(): Promise<void> {
    for (const handler of this.#teardown.reverse()) {
      try {
        await handler()
      } catch (error) {
        console.error(error) // the others are still to be done
      }
    }
    // A container that is left (an interrupted run) would keep its bundle busy.
    const { stdout } = spawnSync('runc', ['--root', this.#state, 'list', '--quiet'], { encoding: 'utf8' })
    for (const id of (stdout ?? '').split('\n').filter(Boolean)) {
      spawnSync('runc', ['--root', this.#state, 'delete', '--force', id])
    }
    for (const path of remembered(this.directory)) rmSync(path, { force: true })
    rmSync(this.directory, { recursive: true, force: true })
  }
}

/** The decisions that hooks have kept with configurations below a directory. */
function remembered(directory: string): string[] {
  const decisions = '/run/oci-sandbox/decisions'
  if (!existsSync(decisions)) return []
  const paths = readdirSync(decisions).map((name) => join(decisions, name))
  return paths.filter((path) => readFileSync(path, 'utf8').includes(`\nconfig ${directory}/`))
}

export interface Store {
  readonly root: string
  /** The host configuration that names it. */
  readonly config: string
}

/** The host's /usr, read only, in a root file system of its own: what is measured is the host's dd, tar, python, gcc and strace. */
function configJson({ args, env, mounts, annotations, hooks, hostNetwork, seccomp }: Container, root: string) {
  const binds = Object.entries({ '/usr': '/usr', '/etc': '/etc', ...mounts })
  return {
    ociVersion: '1.0.2',
    hostname: 'bench',
    root: { path: root, readonly: true },
    process: {
      user: { uid: 0, gid: 0 },
      cwd: '/',
      args,
      env: ['PATH=/usr/bin:/bin', 'LANG=C.UTF-8', ...(env ?? [])],
      noNewPrivileges: true,
    },
    mounts: [
      { destination: '/proc', type: 'proc', source: 'proc' },
      { destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'mode=755', 'size=64k'] },
      { destination: '/tmp', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'nodev', 'mode=1777'] },
      ...binds.map(([destination, source]) => ({
        destination,
        type: 'bind',
        source,
        options: ['bind', 'ro', 'nosuid', 'nodev'],
      })),
    ],
    linux: {
      namespaces: ['pid', 'ipc', 'uts', 'mount', ...(hostNetwork ? [] : ['network'])].map((type) => ({ type })),
      ...(seccomp === undefined ? {} : { seccomp }),
    },
    ...(annotations === undefined ? {} : { annotations }),
    ...(hooks === undefined ? {} : { hooks: withEnvironment(hooks) }),
  }
}

/** As in the manifests of hooks/hooks.d. */
function withEnvironment(hooks: NonNullable<Container['hooks']>) {
  return Object.fromEntries(
    Object.entries(hooks).map(([stage, list]) => [
      stage,
      list.map((hook: Hook) => ({ ...hook, env: ['PATH=/usr/sbin:/usr/bin:/sbin:/bin', 'BUN_JSC_useJIT=0'] })),
    ]),
  )
}
