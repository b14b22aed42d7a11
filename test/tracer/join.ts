// Containers that run, and processes that a real runtime puts into them while the tracer follows it.

import { chmod, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { execa } from 'execa'
import {
  type Bundle,
  type BundleOptions,
  containerId,
  crun,
  makeBundle,
  statusField,
  type Teardown,
  temporary,
  tracer,
  until,
} from './harness.ts'

export type Runtime = 'runc' | 'crun'
export type Container = { runtime: Runtime; bundle: Bundle; id: string; init: number }

const quote = (words: string[]): string => words.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(' ')

/** A command that becomes the runtime. `before`: shell words that run before. */
const becoming = ({ runtime, bundle }: Pick<Container, 'runtime' | 'bundle'>, before: string, args: string[]) => {
  const runc = ['sh', '-c', `${before} exec "$@"`, 'sh', 'runc', '--root', bundle.root, ...args]
  return (runtime === 'crun' ? crun(bundle, args, before) : runc) as [string, ...string[]]
}

/** runc mounts its own binary there for a moment at each start: one that is killed then leaves it. */
const unmountBelow = async (directory: string): Promise<void> => {
  const mounts = (await readFile('/proc/self/mounts', 'utf8')).split('\n').map((line) => line.split(' ')[1] ?? '')
  for (const mount of mounts.filter((path) => path.startsWith(`${directory}/`))) await execa('umount', ['-l', mount])
}

/** A container that sleeps until the test ends. */
export const startContainer = async (t: Teardown, runtime: Runtime, options: Partial<BundleOptions> = {}) => {
  const bundle = await makeBundle(t, { args: ['/bin/busybox', 'sleep', '1000'], ...options })
  const id = containerId()
  const pidFile = join(bundle.directory, 'init')
  const container = { runtime, bundle, id, init: 0 }
  const command = (...args: string[]) => becoming(container, '', args)
  t.teardown(async () => {
    const [program, ...args] = command('delete', '--force', id)
    await execa(program, args, { reject: false, stdio: 'ignore' })
    await unmountBelow(bundle.root)
  })
  const [program, ...args] = command('run', '--detach', '--pid-file', pidFile, '--bundle', bundle.directory, id)
  await execa(program, args, { stdio: 'ignore' }) // the container keeps what it is given
  container.init = Number(await readFile(pidFile, 'utf8'))
  return container as Container
}

const joining = (container: Container): string[] => ['--joining', '--container-pid', String(container.init)]

/** What the tracer gets: `learn` or `enforce` and its other arguments. */
export type Tracing = [command: 'learn' | 'enforce', ...string[]]

/** `runtime exec ARGS`, with the tracer called by the process that becomes the runtime. */
export const execCommand = (container: Container, tracing: Tracing, args: string[]): [string, ...string[]] => {
  const call = `'${tracer}' ${quote([...tracing, ...joining(container)])} --pid $$ &&`
  return becoming(container, call, ['exec', ...args])
}

export const startExec = (
  container: Container,
  tracing: Tracing,
  args: string[],
  stdin: 'ignore' | 'pipe' = 'ignore',
) => {
  const [program, ...words] = execCommand(container, tracing, args)
  return execa(program, words, { reject: false, stdin })
}

/** A detached process keeps the descriptors that it is given: they are nobody's. */
export const execDetached = async (container: Container, tracing: Tracing, args: string[]) => {
  const [program, ...words] = execCommand(container, tracing, ['--detach', ...args])
  return await execa(program, words, { reject: false, stdio: 'ignore' })
}

/** In a terminal of its own, by script(1). */
export const execInTerminal = async (container: Container, tracing: Tracing, args: string[]) => {
  const command = quote(execCommand(container, tracing, ['--tty', ...args]))
  return await execa('script', ['--quiet', '--return', '--command', command, '/dev/null'], {
    reject: false,
    stdin: 'ignore',
  })
}

/** A process of the fixture `joiner` in a runtime's place. */
export const startJoiner = (container: Container, tracing: Tracing, program: string, way: string, inside: string) => {
  const call = `'${tracer}' ${quote([...tracing, ...joining(container)])} --pid $$`
  const words = ['-c', `${call} && exec "$@"`, 'sh', program, String(container.init), way, inside]
  return execa('sh', words, { reject: false, stdin: 'ignore' })
}

/** The OCI process of `exec --process`, as a file. */
export const processFile = async (t: Teardown, process: object): Promise<string> => {
  const file = join(await temporary(t), 'process.json')
  await writeFile(file, JSON.stringify({ cwd: '/', env: ['PATH=/bin'], user: { uid: 0, gid: 0 }, ...process }))
  await chmod(file, 0o644)
  return file
}

/** The tracer of a process, waited for; undefined: the process has ended before that could be seen. */
export const tracerOf = async (pid: number): Promise<number | undefined> => {
  const value = await until(`pid ${pid} is traced`, async () => {
    const tracer = (await statusField(pid, 'TracerPid')) ?? 'gone'
    return tracer !== '0' && tracer
  })
  return value === 'gone' ? undefined : Number(value)
}

/** Wait until the process has become the runtime, or is gone. */
export const becameRuntime = (pid: number) =>
  until(`pid ${pid} has become the runtime`, async () =>
    ['runc', 'gone'].includes((await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => 'gone')).trim()),
  )
