/** Each engine under load, and with its own parts killed at random moments. */
import { setTimeout as delay } from 'node:timers/promises'
import { test } from 'tap'
import { Containerd } from '../lib/containerd.ts'
import { Docker } from '../lib/docker.ts'
import { until } from '../lib/events.ts'
import { annotated, container, podman } from '../lib/podman.ts'
import { kill9, type Process, processesWith, statusOf } from '../lib/processes.ts'
import { Random } from '../lib/random.ts'
import { type Result, Sandbox, SHIM } from '../lib/sandbox.ts'

const STARTS = process.env.TEST_ALL ? 100 : 20
const AT_ONCE = 4
/** How often something is killed, for each engine, with TEST_ALL; robust.test.ts does so in every run, through runc. */
const KILLS = 100

type Annotations = Readonly<Record<string, string>>
type Teardown = Parameters<typeof Sandbox.create>[0]

interface Engine {
  readonly sandbox: Sandbox
  /** Runs the program to its end; `name` is the container's. */
  run(name: string, mode: 'learn' | 'enforce', ...args: string[]): Promise<Result>
  /** Removes what is left of a container whose parts were killed. */
  remove(name: string): Promise<unknown>
}

const of = (mode: string): Annotations => ({ 'io.sandbox.mode': mode, 'io.sandbox.policy': 'test' })

const ENGINES: Readonly<Record<string, (t: Teardown) => Promise<Engine>>> = {
  async ctr(t) {
    const sandbox = await Sandbox.create(t)
    const containerd = await Containerd.start(t, sandbox, sandbox.runtime())
    return {
      sandbox,
      run: (name, mode, ...args) => containerd.run(name, of(mode), '/fixtures/act', ...args),
      async remove(name) {
        await containerd.ctr('tasks', 'delete', '--force', name)
        await containerd.ctr('containers', 'delete', name)
      },
    }
  },
  async podman(t) {
    const sandbox = await Sandbox.create(t)
    const door = { sandbox, runtime: SHIM, runtimeFlags: [`config=${sandbox.config}`] }
    return {
      sandbox,
      run: (name, mode, ...args) =>
        podman(
          door,
          ...['run', '--rm'],
          ...container(sandbox, ['--name', name, ...annotated(mode)], ['/fixtures/act', ...args].join(' ')),
        ),
      remove: (name) => podman(door, 'rm', '--force', '--time', '0', '--ignore', name),
    }
  },
  async Docker(t) {
    const sandbox = await Sandbox.create(t)
    const path = sandbox.runtime()
    const mode = (name: string) => ({ path, runtimeArgs: ['--mode', name, '--policy', 'test'] })
    const docker = await Docker.start(t, sandbox, { learn: mode('learn'), enforce: mode('enforce') })
    return {
      sandbox,
      run: (name, runtime, ...args) => docker.run(runtime, ['--rm', '--name', name], '/fixtures/act', ...args),
      remove: (name) => docker.docker('rm', '--force', name),
    }
  },
}

for (const [name, start] of Object.entries(ENGINES)) {
  test(`${name}: ${STARTS} starts, ${AT_ONCE} at a time: exit codes, and nothing left`, {
    timeout: 300_000,
  }, async (t) => {
    const { sandbox, run } = await start(t)
    t.match(await run('learn', 'learn', 'hello', 'exit', '3'), { exitCode: 3, stdout: 'hello: ok' })
    const wrong: unknown[] = []
    let next = 0
    const lane = async () => {
      while (next < STARTS) {
        const index = next++
        const result = await run(`start${index}`, 'enforce', 'hello', 'socket', 'exit', String(index))
        const { exitCode, stdout } = result
        if (exitCode !== index || stdout !== 'hello: ok\nsocket: Operation not permitted') wrong.push(result)
      }
    }
    await Promise.all(Array.from({ length: AT_ONCE }, lane))
    t.same(wrong, [])
    await until('nothing is kept of a container', () => sandbox.kept().length === 0)
    await until('no program is left', () => processesWith('/fixtures/act\0hello').length === 0)
  })

  if (!process.env.TEST_ALL) continue
  if (name === 'Docker') continue // containerd's shims and the shim are what its containers depend on: the same as ctr's
  test(`${name}: kill -9 at ${KILLS} random moments never leaves a container running unfiltered`, {
    timeout: 600_000,
  }, async (t) => {
    const { sandbox, run, remove } = await start(t)
    const random = new Random(KILLS)
    await run('learn', 'learn', 'hello')
    const wild: string[] = []
    let seen = 0
    for (let round = 0; round <= KILLS; round++) {
      const mark = `mark${process.pid}-${round}`
      // The program, which must be filtered whenever it runs, stays until it is killed. Its command line has the mark.
      const ended = run(mark, 'enforce', 'hello', 'pause', mark)
      await delay(random.below(400))
      // The first round kills nothing: it shows that the program would be seen.
      if (round === 0) await until('the program runs', () => programs(mark).length > 0)
      else {
        const victims = parts(sandbox, mark)
        if (victims.length > 0) kill9(random.pick(victims).pid)
      }
      for (const deadline = Date.now() + 150; Date.now() < deadline; await delay(2)) wild.push(...unfiltered(mark))
      if (programs(mark).length > 0) seen++
      for (const { pid } of programs(mark)) kill9(pid)
      await remove(mark)
      // A client whose peer was killed may wait for ever.
      for (const { pid } of processesWith(mark)) kill9(pid)
      await ended
      await until('the container is gone', () => programs(mark).length === 0)
    }
    t.same(wild, [])
    t.ok(seen > 0, 'programs were seen')
    // A container that was created, and whose engine was killed before it started it, waits for its start: with its tracer its init ends.
    for (const { pid } of tracers(sandbox)) kill9(pid)
    await until('no tracer is left', () => tracers(sandbox).length === 0)
    t.comment(`${seen} of ${KILLS + 1} containers ran, filtered`)
  })
}

/** The container's program, as soon as it is that: not what the runtime is before. */
function programs(mark: string): Process[] {
  return processesWith(mark).filter(({ command }) => command.startsWith('/fixtures/act\0'))
}

function unfiltered(mark: string): string[] {
  return programs(mark)
    .map(({ pid }) => [pid, statusOf(pid, 'Seccomp')] as const)
    .filter(([, seccomp]) => seccomp !== undefined && seccomp !== '2')
    .map(([pid, seccomp]) => `${mark}: ${pid}: Seccomp ${seccomp}`)
}

function tracers(sandbox: Sandbox): Process[] {
  return processesWith(sandbox.store).filter(({ command }) => command.startsWith('oci-sandbox-tracer\0'))
}

/** conmon or containerd's shim, the runtime, the shim's program, the helper, the client: whoever is there, but for the daemon. */
function parts(sandbox: Sandbox, mark: string): Process[] {
  const all = [...processesWith(mark), ...processesWith(sandbox.store)]
  return all.filter(({ command }) => !command.startsWith('containerd\0'))
}
