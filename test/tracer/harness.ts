// What the tracer's tests share: building, bundles for real runc, running, reading streams, waiting for conditions.
// Debian packages: runc crun strace gcc libc6-dev gcc-%-multilib busybox-static make util-linux

import { chmod, copyFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { execa, type ResultPromise } from 'execa'

const repository = join(import.meta.dirname, '../..')
const build = join(repository, 'build')
export const tracer = join(repository, 'dist/oci-sandbox-tracer')
export const fixtures = join(build, 'tracer-fixtures')

/** Test files run side by side: one builds, the others wait for it. */
const buildOnce = async (): Promise<void> => {
  await mkdir(build, { recursive: true })
  const make = ['make', '-s', '-C']
  await execa('flock', [join(build, 'tracer.lock'), ...make, join(repository, 'tracer'), `OUT=${tracer}`])
  await execa('flock', [join(build, 'tracer.lock'), ...make, join(import.meta.dirname, 'fixtures'), `OUT=${fixtures}`])
}
await buildOnce()

export type Teardown = { teardown(fn: () => unknown): void }

export const temporary = async (t: Teardown): Promise<string> => {
  const directory = await mkdtemp(join(tmpdir(), 'tracer-'))
  t.teardown(() => rm(directory, { recursive: true, force: true }))
  return directory
}

/** Wait for a condition; the error after the deadline says for which. */
export const until = async <T>(
  what: string,
  condition: () => Promise<T | undefined | false> | T | undefined | false,
): Promise<T> => {
  const deadline = Date.now() + 20_000
  while (Date.now() < deadline) {
    const value = await condition()
    if (value) return value
    await delay(5)
  }
  throw new Error(`waited in vain: ${what}`)
}

export type Bundle = { directory: string; rootfs: string; output: string; journal: string; root: string }

export type BundleOptions = {
  args: string[]
  hook?: string[] // arguments of the tracer; PID, OUTPUT, JOURNAL are put in, NO-EBPF makes that one fail
  programs?: string[]
  noNewPrivileges?: boolean
  uid?: number
  readonly?: boolean
  hostPid?: boolean
  userNamespace?: boolean
  terminals?: boolean
  capabilities?: string[]
  startContainer?: { path: string; args?: string[] }[]
  seccomp?: unknown
}

const programs = ['exact', 'busybox', 'mini']

/** A bundle with a small root file system of our fixtures. */
export const makeBundle = async (t: Teardown, options: BundleOptions): Promise<Bundle> => {
  const directory = await temporary(t)
  const bundle: Bundle = {
    directory,
    rootfs: join(directory, 'rootfs'),
    output: join(directory, 'stream'),
    journal: join(directory, 'journal'),
    root: join(directory, 'state'),
  }
  for (const name of ['bin', 'proc', 'dev', 'tmp', 'lib', 'lib64', 'usr', 'etc'])
    await mkdir(join(bundle.rootfs, name), { recursive: true })
  for (const name of new Set([...programs, ...(options.programs ?? [])])) {
    await copyFile(join(fixtures, name), join(bundle.rootfs, 'bin', name))
    await chmod(join(bundle.rootfs, 'bin', name), 0o755)
  }
  await chmod(directory, 0o755)
  const hook = join(directory, 'hook')
  if (options.hook) {
    // For its maps and programs the tracer needs more descriptors.
    const limit = options.hook.includes('NO-EBPF') ? 'ulimit -n 12\n' : ''
    const given = options.hook.filter((word) => word !== 'NO-EBPF')
    const words = given.map((word) =>
      word === 'PID' ? '"$pid"' : `'${word.replace('OUTPUT', bundle.output).replace('JOURNAL', bundle.journal)}'`,
    )
    await writeFile(
      hook,
      `#!/bin/sh\n${limit}state=$(cat)\npid=\${state#*\\"pid\\":}\npid=\${pid%%[,\\}]*}\nexec '${tracer}' ${words.join(' ')}\n`,
    )
    await chmod(hook, 0o755)
  }
  await writeFile(join(directory, 'config.json'), JSON.stringify(config(options, options.hook ? hook : undefined)))
  return bundle
}

const USER_MAP = [{ containerID: 0, hostID: 100_000, size: 65_536 }]

const config = (options: BundleOptions, hook: string | undefined) => {
  const capabilities = options.capabilities ?? ['CAP_KILL', 'CAP_SETUID', 'CAP_SETGID']
  return {
    ociVersion: '1.0.2',
    process: {
      user: { uid: options.uid ?? 0, gid: options.uid ?? 0 },
      args: options.args,
      env: ['PATH=/bin'],
      cwd: '/',
      noNewPrivileges: options.noNewPrivileges ?? false,
      capabilities: { bounding: capabilities, effective: capabilities, permitted: capabilities },
    },
    root: { path: 'rootfs', readonly: options.readonly ?? false },
    mounts: [
      { destination: '/proc', type: 'proc', source: 'proc' },
      { destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'mode=755'] },
      ...(options.terminals
        ? [{ destination: '/dev/pts', type: 'devpts', source: 'devpts', options: ['newinstance'] }]
        : []),
      { destination: '/etc', type: 'bind', source: '/etc', options: ['rbind', 'ro'] },
      { destination: '/usr', type: 'bind', source: '/usr', options: ['rbind', 'ro'] },
      { destination: '/lib', type: 'bind', source: '/lib', options: ['rbind', 'ro'] },
      { destination: '/lib64', type: 'bind', source: '/lib64', options: ['rbind', 'ro'] },
    ],
    hooks: {
      ...(hook ? { createRuntime: [{ path: hook }] } : {}),
      ...(options.startContainer ? { startContainer: options.startContainer } : {}),
    },
    linux: {
      namespaces: [
        { type: 'mount' },
        { type: 'ipc' },
        { type: 'uts' },
        ...(options.hostPid ? [] : [{ type: 'pid' }]),
        ...(options.userNamespace ? [{ type: 'user' }] : []),
      ],
      ...(options.userNamespace ? { uidMappings: USER_MAP, gidMappings: USER_MAP } : {}),
      ...(options.seccomp ? { seccomp: options.seccomp } : {}),
    },
  }
}

export const learnHookWith = (backend: string): string[] => [
  'learn',
  '--backend',
  backend,
  '--pid',
  'PID',
  '--output',
  'OUTPUT',
]
export const learnHook = learnHookWith('ptrace-syscall')
export const enforceHook = (...filters: string[]): string[] => [
  'enforce',
  '--pid',
  'PID',
  '--journal',
  'JOURNAL',
  ...filters.flatMap((filter) => ['--filter', filter]),
]

let containers = 0
export const containerId = (): string => `t${process.pid}-${++containers}`

const options = { reject: false, stdin: 'pipe' } as const
export type Running = ResultPromise<typeof options>

/** Start `runc run`. Its standard input stays open until the caller ends it. */
export const start = (bundle: Bundle, id: string = containerId()): Running =>
  execa('runc', ['--root', bundle.root, 'run', '--bundle', bundle.directory, id], options)

export const run = async (bundle: Bundle, id: string = containerId()) => {
  const running = start(bundle, id)
  running.stdin.end()
  return await running
}

/** crun with its global options, in a mount namespace with nothing but cgroup 2, as it cannot do with a mixture. `before`: shell words. */
export const crun = (bundle: Bundle, args: string[], before: string = ''): string[] => [
  'unshare',
  '--mount',
  'sh',
  '-c',
  `mount -t cgroup2 none /sys/fs/cgroup && ${before} exec "$@"`,
  'sh',
  'crun',
  '--root',
  bundle.root,
  '--cgroup-manager=disabled',
  ...args,
]

export const runCrun = async (bundle: Bundle, id: string = containerId()) => {
  const [program, ...args] = crun(bundle, ['run', '--bundle', bundle.directory, id])
  return await execa(program as string, args, { reject: false, stdin: 'ignore' })
}

/** runc with any other command. The container of `create` would keep a pipe open, so there is none. */
export const runc = (bundle: Bundle, ...args: string[]) =>
  execa('runc', ['--root', bundle.root, ...args], { reject: false, stdio: 'ignore' })

// biome-ignore lint/suspicious/noExplicitAny: the tests' matchers check the shape of each line
export type Line = Record<string, any>

export const readLines = async (file: string): Promise<Line[]> => {
  const text = await readFile(file, 'utf8')
  if (text !== '' && !text.endsWith('\n')) throw new Error(`${file} ends within a line`)
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Line)
}

/** The lines of a record whose last one has come; until then its end may be a part of a line. */
export const finishedLines = async (file: string): Promise<Line[]> => {
  await until('the last line', async () => /\{"event":"finish".*\}\n$/.test(await readFile(file, 'utf8')))
  return readLines(file)
}

export const eventsOf = (lines: Line[], event: string): Line[] => lines.filter((line) => line.event === event)

/** "x86_64:1": 3 */
export const countsOf = (lines: Line[]): Record<string, number> =>
  Object.fromEntries(eventsOf(lines, 'count').map((line) => [`${line.arch}:${line.nr}`, line.count]))

export const seenOf = (lines: Line[]): string[] =>
  eventsOf(lines, 'seen')
    .map((line) => `${line.arch}:${line.nr}`)
    .sort()

/** The processes whose command line names the bundle: tracers and hooks that are still there. */
export const processesOf = async (bundle: Bundle): Promise<number[]> => {
  const found: number[] = []
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue
    const line = await readFile(`/proc/${name}/cmdline`, 'utf8').catch(() => '')
    if (line.includes(dirname(bundle.rootfs))) found.push(Number(name))
  }
  return found
}

export const noProcessOf = (bundle: Bundle) =>
  until('no process of the bundle is left', async () => (await processesOf(bundle)).length === 0)

export const statusField = async (pid: number, name: string): Promise<string | undefined> => {
  const text = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '')
  return text.match(new RegExp(`^${name}:\\s*(.*)$`, 'm'))?.[1]
}

/** Whether a process is in a group-stop (state T of proc(5); t, a tracer's, is not that). */
export const isStopped = async (pid: number): Promise<boolean> =>
  (await statusField(pid, 'State'))?.startsWith('T') === true

type Printing = Pick<Running, 'stdout'> & PromiseLike<{ stderr: string }>

/** Wait until the container has printed a text. */
export const printed = (running: Printing, text: string): Promise<void> =>
  new Promise((resolve, reject) => {
    let all = ''
    running.stdout.on('data', (data) => {
      all += data
      if (all.includes(text)) resolve()
    })
    running.then((result) => reject(new Error(`ended without printing ${text}: ${result.stderr}`)))
  })
