/** Measures what a runtime calls between loading linux.seccomp and the program's execve: starts small containers and watches. */
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { release, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { SandboxError } from '../errors.ts'
import { sha256 } from '../host/hash.ts'
import { tracerPath } from '../host/paths.ts'
import { type Calibration, fileKey } from '../policy/calibration.ts'
import type { SyscallTable } from '../policy/names.ts'
import { bundleConfig, type Variant } from './calibrate-bundle.ts'
import { readCalls } from './calibrate-record.ts'

/** Containers of each kind: some calls are made by chance. */
const RUNS = 20

/** Milliseconds for one command of the runtime, and for the program's start after it. */
const PATIENCE = 30_000

/** How the runtime is called on this machine. */
interface Way {
  readonly prefix: readonly string[]
  readonly globals: readonly string[]
}

const PLAIN: Way = { prefix: [], globals: [] }

/** crun cannot do with a mixture of cgroup versions: in a mount namespace of its own it sees version 2 alone. */
const CGROUP2: Way = {
  prefix: ['unshare', '--mount', 'sh', '-c', 'mount -t cgroup2 none /sys/fs/cgroup && exec "$@"', 'sh'],
  globals: ['--cgroup-manager=disabled'],
}

/** A thread can be interrupted anywhere: then the kernel makes these of its own accord, or for a handler that returns. */
const ALWAYS = ['restart_syscall', 'rt_sigreturn']

/** What Go's scheduler makes by chance: on a contended lock, and to interrupt another thread. */
const GO = ['futex', 'getpid', 'nanosleep', 'sched_yield', 'tgkill']

/**
 * What `crun exec` calls besides, whatever noNewPrivileges: it loads the filter sooner than `crun run`. No hook stands there, so this is
 * not measured here but was on crun 1.8.1. runc's exec makes no other calls than its run.
 */
const CRUN_EXEC = ['capset', 'fchown', 'ioctl', 'prctl', 'setgroups', 'setresgid', 'setresuid', 'umask']

/** What the Go linker puts into each binary (debug/buildinfo). */
const GO_MARK = Buffer.from('\xff Go buildinf:', 'latin1')

/** `runtime`: the path of the runtime. Throws RUNTIME_FAILED where it cannot be run here, or did something that was not expected. */
export async function calibrate(runtime: string, nameOf: SyscallTable['nameOf']): Promise<Calibration> {
  const file = fileKey(runtime)
  const binary = readFileSync(runtime)
  const { stdout } = spawnSync(runtime, ['--version'], { encoding: 'utf8', timeout: PATIENCE })
  const exec = stdout?.startsWith('crun') ? CRUN_EXEC : []
  const unseen = [...ALWAYS, ...(binary.includes(GO_MARK) ? GO : []), ...exec]
  const directory = mkdtempSync(join(tmpdir(), 'oci-sandbox-calibrate-'))
  try {
    const trial = new Trial(runtime, directory, nameOf)
    const measure = async (noNewPrivileges: boolean) =>
      [...new Set([...unseen, ...(await trial.union(noNewPrivileges))])].sort()
    const calls = { noNewPrivileges: await measure(true), newPrivileges: await measure(false) }
    return {
      version: (stdout ?? '').split('\n', 1)[0] ?? '',
      path: realpathSync(runtime),
      digest: sha256(binary),
      file,
      kernel: release(),
      date: new Date().toISOString(),
      runs: trial.runs,
      calls,
    }
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

/** The containers of one calibration. */
class Trial {
  /** Containers that were started, and ids that were used. */
  runs = 0
  #ids = 0
  readonly #runtime: string
  readonly #directory: string
  readonly #nameOf: SyscallTable['nameOf']
  #way: Way | undefined

  constructor(runtime: string, directory: string, nameOf: SyscallTable['nameOf']) {
    this.#runtime = runtime
    this.#directory = directory
    this.#nameOf = nameOf
    chmodSync(directory, 0o755)
    const rootfs = join(directory, 'rootfs')
    for (const name of ['bin', 'dev', 'proc', 'tmp']) mkdirSync(join(rootfs, name), { recursive: true })
    // One static program, and it is at hand.
    copyFileSync(tracerPath(), join(rootfs, 'bin/program'))
    chmodSync(join(rootfs, 'bin/program'), 0o755)
  }

  /** What all containers with this noNewPrivileges made. */
  async union(noNewPrivileges: boolean): Promise<Set<string>> {
    const calls = new Set<string>()
    for (const uid of [0, 1000]) {
      for (let run = 0; run < RUNS; run++) {
        const variant = { noNewPrivileges, uid, atOnce: run % 2 === 0 }
        for (const call of await this.#one(variant)) calls.add(call)
      }
    }
    return calls
  }

  /** One container; the first one finds out how the runtime can be run here. */
  async #one(variant: Variant): Promise<readonly string[]> {
    if (this.#way !== undefined) return await this.#start(variant, this.#way)
    try {
      const calls = await this.#start(variant, PLAIN)
      this.#way = PLAIN
      return calls
    } catch (error) {
      const { stdout } = spawnSync(this.#runtime, ['--version'], { encoding: 'utf8', timeout: PATIENCE })
      if (!stdout?.startsWith('crun')) throw error
      const calls = await this.#start(variant, CGROUP2)
      this.#way = CGROUP2
      return calls
    }
  }

  /** `run`, or `create` and `start`, in which a runtime waits in between under the filter already. */
  async #start(variant: Variant, way: Way): Promise<readonly string[]> {
    const id = `oci-sandbox-calibrate-${process.pid}-${++this.#ids}`
    const bundle = join(this.#directory, `bundle-${this.#ids}`)
    const record = join(bundle, 'record')
    mkdirSync(bundle)
    const rootfs = join(this.#directory, 'rootfs')
    writeFileSync(join(bundle, 'config.json'), JSON.stringify(bundleConfig(variant, rootfs, record)))
    let clean = false
    try {
      if (variant.atOnce) {
        clean = this.#command(way, bundle, 'run', '--bundle', bundle, id)
      } else {
        this.#command(way, bundle, 'create', '--bundle', bundle, id)
        this.#command(way, bundle, 'start', id)
      }
      const calls = readCalls(await finished(record), this.#nameOf, this.#runtime)
      this.runs++
      return calls
    } finally {
      if (!clean) this.#try(way, bundle, 'delete', '--force', id)
      rmSync(bundle, { recursive: true, force: true })
    }
  }

  /** Returns whether its exit code is 0. crun 1.8.1 is sometimes ended by SIGPIPE after its container's end: what counts is the record. */
  #command(way: Way, bundle: string, ...args: string[]): boolean {
    const { status, error } = this.#try(way, bundle, ...args)
    if (status === 0 || hasFinished(join(bundle, 'record'))) return status === 0
    const said = readFileSync(join(bundle, 'output'), 'utf8').trim().split('\n').slice(-3).join('; ')
    throw new SandboxError(
      'RUNTIME_FAILED',
      `cannot calibrate ${this.#runtime}: a small container cannot be started here with "${args[0]}": ${error?.message ?? said}; ` +
        'run it as root, outside containers. Until then the shipped table holds',
    )
  }

  /** Into a file: a container outlives `create`, and would keep a pipe open. */
  #try({ prefix, globals }: Way, bundle: string, ...args: string[]) {
    const output = openSync(join(bundle, 'output'), 'a')
    const state = ['--root', join(this.#directory, 'state')]
    const [program = '', ...words] = [...prefix, this.#runtime, ...state, ...globals, ...args]
    try {
      return spawnSync(program, words, { stdio: ['ignore', output, output], timeout: PATIENCE, killSignal: 'SIGKILL' })
    } finally {
      closeSync(output)
    }
  }
}

function hasFinished(record: string): boolean {
  return existsSync(record) && readFileSync(record, 'utf8').includes('"event":"finish"')
}

/** The record, once its last line is there: `start` returns before the program starts. The hook has made the file. */
async function finished(record: string): Promise<string> {
  const until = Date.now() + PATIENCE
  while (existsSync(record) && !hasFinished(record) && Date.now() < until) await setTimeout(5)
  return existsSync(record) ? readFileSync(record, 'utf8') : ''
}
