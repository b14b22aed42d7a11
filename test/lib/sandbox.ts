/** Containers for tests: bundles of fixture programs on a Debian root file system, run by stock runc through our hooks. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  closeSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { execa } from 'execa'
import type { PolicyDocument } from '../../src/generated/policy.ts'
import { unmountBelow } from '../engines/mounts.ts'
import type { Teardown } from '../engines/place.ts'
import { type Result, resultOf } from '../engines/result.ts'
import { settled } from './processes.ts'

export { type Result, resultOf }

const ROOT = join(import.meta.dirname, '../..')
export const OCI_SANDBOX = join(ROOT, 'dist/oci-sandbox')
export const SHIM = join(ROOT, 'dist/oci-sandbox-runtime')
export const TRACER = join(ROOT, 'dist/oci-sandbox-tracer')
const DEBIAN = join(ROOT, 'build/demo/rootfs')
const FIXTURES = join(ROOT, 'build/test-fixtures')

/** Compiled by each test process for itself: it takes 0.2 s, and needs no order among the test files. */
async function compileFixtures(directory: string): Promise<void> {
  const source = (name: string) => join(ROOT, 'test/fixtures', name)
  mkdirSync(directory, { recursive: true })
  await Promise.all([
    execa('gcc', ['-O1', '-o', join(directory, 'act'), source('act.c')]),
    execa('gcc', ['-O1', '-static', '-o', join(directory, 'act-static'), source('act.c')]),
    execa('gcc', [
      '-O1',
      '-static',
      '-nostdlib',
      '-ffreestanding',
      '-fno-stack-protector',
      '-o',
      join(directory, 'bare'),
      source('bare.c'),
    ]),
  ])
  writeFileSync(join(directory, 'script'), '#!/fixtures/act\n', { mode: 0o755 })
}

export interface Container {
  readonly args: readonly string[]
  readonly mode?: 'learn' | 'enforce'
  readonly policy?: string
  readonly annotations?: Record<string, string>
  readonly noNewPrivileges?: boolean
  readonly uid?: number
  readonly writable?: boolean
  /** The hooks of the bundle; default: those that fit the mode. */
  readonly hooks?: object
  readonly env?: readonly string[]
}

/** The records of decisions that were made with a configuration. */
export function rememberedWith(config: string): string[] {
  const directory = '/run/oci-sandbox/decisions'
  if (!existsSync(directory)) return []
  return readdirSync(directory)
    .map((name) => join(directory, name))
    .filter((path) => {
      try {
        return readFileSync(path, 'utf8').includes(`\nconfig ${config}\n`)
      } catch {
        return false
      }
    })
}

/** One host: a store, a configuration, a state directory of runc. Everything is removed when the test ends. */
export class Sandbox {
  readonly directory: string
  readonly store: string
  readonly config: string
  /** The /tmp of its containers. */
  readonly tmp: string
  #containers = 0

  private constructor(directory: string) {
    this.directory = directory
    this.store = join(directory, 'store')
    this.config = join(directory, 'config.json')
    this.tmp = join(directory, 'rootfs/tmp')
  }

  static async create(t: Teardown, config: object = {}): Promise<Sandbox> {
    if (!existsSync(DEBIAN)) throw new Error('build/demo/rootfs is missing: make test makes it')
    const sandbox = new Sandbox(mkdtempSync(join(tmpdir(), 'oci-sandbox-test-')))
    // conmon cleans up after a container once `podman run` has returned: what it writes meanwhile makes a removal fail with ENOTEMPTY.
    t.teardown(async () => {
      await settled(sandbox.config)
      await unmountBelow(sandbox.directory)
      rmSync(sandbox.directory, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 })
    })
    t.teardown(() => {
      for (const path of sandbox.remembered()) rmSync(path, { force: true })
    })
    t.teardown(() => {
      for (const name of sandbox.kept())
        rmSync(join('/run/oci-sandbox/containers', name), { recursive: true, force: true })
    })
    chmodSync(sandbox.directory, 0o755)
    const fixtures = join(FIXTURES, String(process.pid))
    if (!existsSync(fixtures)) {
      await compileFixtures(fixtures)
      t.teardown(() => rmSync(fixtures, { recursive: true, force: true }))
    }
    const rootfs = join(sandbox.directory, 'rootfs')
    for (const name of ['proc', 'dev', 'tmp', 'usr', 'etc']) mkdirSync(join(rootfs, name), { recursive: true })
    await execa('ln', ['-s', 'usr/bin', 'usr/lib', 'usr/lib64', 'usr/sbin', rootfs])
    cpSync(fixtures, join(rootfs, 'fixtures'), { recursive: true })
    copyFileSync(join(fixtures, 'act'), join(rootfs, 'fixtures/setuid'))
    chmodSync(join(rootfs, 'fixtures/setuid'), 0o4755)
    writeFileSync(sandbox.config, JSON.stringify({ store: sandbox.store, ...config }))
    return sandbox
  }

  /** A hook of ours with the sandbox's configuration, as the manifests have it. */
  hook(name: 'learn' | 'enforce', more: object = {}) {
    const path = name === 'enforce' ? TRACER : OCI_SANDBOX
    const env = ['PATH=/usr/sbin:/usr/bin:/sbin:/bin', ...(name === 'enforce' ? [] : ['BUN_JSC_useJIT=0'])]
    return { path, args: [basename(path), 'hook', name, '--config', this.config], env, ...more }
  }

  /** A program that is the shim with the sandbox's configuration: what an engine is given as its runtime. */
  runtime(): string {
    const path = join(this.directory, 'runtime')
    writeFileSync(path, `#!/bin/sh\nexec ${OCI_SANDBOX}-runtime --config ${this.config} "$@"\n`, { mode: 0o755 })
    return path
  }

  #hooks(mode: Container['mode']): object {
    if (mode === 'learn') return { createRuntime: [this.hook('learn')], poststop: [this.hook('learn')] }
    return mode === 'enforce' ? { createRuntime: [this.hook('enforce')] } : {}
  }

  /** Writes a bundle and returns its directory. */
  bundle(container: Container): string {
    const directory = mkdtempSync(join(this.directory, 'bundle-'))
    const { mode, policy = 'test', uid = 0 } = container
    const capabilities = ['CAP_KILL', 'CAP_SETUID', 'CAP_SETGID']
    const config = {
      ociVersion: '1.0.2',
      process: {
        user: { uid, gid: uid },
        args: container.args,
        env: ['PATH=/fixtures:/usr/bin', ...(container.env ?? [])],
        cwd: '/',
        noNewPrivileges: container.noNewPrivileges ?? true,
        capabilities:
          uid === 0
            ? { bounding: capabilities, effective: capabilities, permitted: capabilities }
            : { bounding: capabilities },
      },
      root: { path: join(this.directory, 'rootfs'), readonly: !container.writable },
      mounts: [
        { destination: '/proc', type: 'proc', source: 'proc' },
        { destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'mode=755'] },
        { destination: '/usr', type: 'bind', source: join(DEBIAN, 'usr'), options: ['rbind', 'ro'] },
      ],
      annotations: {
        ...(mode === undefined ? {} : { 'io.sandbox.mode': mode, 'io.sandbox.policy': policy }),
        ...container.annotations,
      },
      hooks: container.hooks ?? this.#hooks(mode),
      linux: { namespaces: ['pid', 'mount', 'ipc', 'uts', 'network'].map((type) => ({ type })) },
    }
    writeFileSync(join(directory, 'config.json'), JSON.stringify(config))
    return directory
  }

  newId(): string {
    return `${basename(this.directory)}-${++this.#containers}`
  }

  /** The command line of runc with a state directory of its own. */
  runcArgs(...args: string[]): string[] {
    return ['--root', join(this.directory, 'runc'), ...args]
  }

  async runc(...args: string[]): Promise<Result> {
    return resultOf(await execa('runc', this.runcArgs(...args), { reject: false, stdin: 'ignore' }))
  }

  /** To its end, and to the end of what the learn hook has left behind. */
  async run(container: Container): Promise<Result> {
    const result = await this.runc('run', '--bundle', this.bundle(container), this.newId())
    if (container.mode === 'learn') await settled(this.config)
    return result
  }

  /** oci-sandbox-runtime in the place of runc. */
  async shim(...args: string[]): Promise<Result> {
    const line = ['--config', this.config, ...this.runcArgs(...args)]
    return resultOf(await execa(SHIM, line, { reject: false, stdin: 'ignore' }))
  }

  /** The same, with a file as the container's standard output and error: a container outlives `create`, and would keep a pipe open. */
  async shimInto(file: string, cwd: string, ...args: string[]): Promise<number | undefined> {
    const output = openSync(file, 'a')
    try {
      const line = ['--config', this.config, ...this.runcArgs(...args)]
      const child = spawn(SHIM, line, { cwd, stdio: ['ignore', output, output] })
      const [code] = await once(child, 'exit')
      return code
    } finally {
      closeSync(output)
    }
  }

  /** The directories that the shim keeps for containers of this sandbox. */
  kept(): string[] {
    const directory = '/run/oci-sandbox/containers'
    if (!existsSync(directory)) return []
    return readdirSync(directory).filter((name) => {
      try {
        return readFileSync(join(directory, name, 'record.json'), 'utf8').includes(this.directory)
      } catch {
        return false
      }
    })
  }

  /** The records of decisions that were made with this configuration. */
  remembered(): string[] {
    return rememberedWith(this.config)
  }

  /** oci-sandbox with the sandbox's configuration. */
  async cli(...args: string[]): Promise<Result> {
    return resultOf(await execa(OCI_SANDBOX, ['--config', this.config, ...args], { reject: false }))
  }

  async policy(name = 'test'): Promise<PolicyDocument> {
    const { stdout, stderr, exitCode } = await this.cli('policy', 'show', name, '--json')
    if (exitCode !== 0) throw new Error(stderr)
    return JSON.parse(stdout)
  }

  policyPath(name = 'test'): string {
    return join(this.store, 'policies', name, 'policy.json')
  }

  /** Puts a policy into the store as it is. */
  writePolicy(text: string, name = 'test'): void {
    mkdirSync(join(this.store, 'policies', name), { recursive: true })
    writeFileSync(this.policyPath(name), text)
  }

  journal(): { event: string; code?: string; container?: string; message: string }[] {
    const lines = readFileSync(join(this.store, 'journal.ndjson'), 'utf8').trimEnd().split('\n')
    return lines.map((line) => JSON.parse(line))
  }
}

/** The names that a policy allows on x86-64. */
export function namesOf(policy: PolicyDocument): string[] {
  return (policy.architectures.x86_64?.syscalls ?? []).map(({ name, number }) => name ?? `#${number}`)
}
