// enforce and learn --joining: what `runc exec` and `crun exec` put into a container that runs already.

import { chmod, chown, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { execa } from 'execa'
import t from 'tap'
import { allowOnly, denyOnly, errno, invalid } from './bpf.ts'
import {
  type Bundle,
  countsOf,
  eventsOf,
  fixtures,
  isStopped,
  type Line,
  learnHook,
  noProcessOf,
  printed,
  readLines,
  seenOf,
  statusField,
  type Teardown,
  temporary,
  tracer,
  until,
} from './harness.ts'
import {
  becameRuntime,
  type Container,
  execDetached,
  execInTerminal,
  processFile,
  startContainer,
  startExec,
  startJoiner,
  type Tracing,
  tracerOf,
} from './join.ts'

const EPERM = 1
const MINI = [1, 231] // write, exit_group
const EARLY = ['--install', 'early']
const AT_EXEC = ['--install', 'exec', '--allow-no-new-privs']
const STATUS = ['/bin/busybox', 'grep', '^Seccomp:', '/proc/self/status']
const EXACT = { 'x86_64:1': 1, 'x86_64:39': 3, 'x86_64:102': 2, 'x86_64:231': 1 }

const save = async (t: Teardown, ...programs: Buffer[]): Promise<string[]> => {
  const directory = await temporary(t)
  const files = programs.map((_, i) => join(directory, `${i}.bpf`))
  await Promise.all(programs.map((program, i) => writeFile(files[i] as string, program)))
  return files
}

let streams = 0
const stream = (bundle: Bundle): string => join(bundle.directory, `exec-${++streams}`)

const enforcing = (container: Container, filters: string[], extra: string[] = []): Tracing => [
  'enforce',
  '--journal',
  container.bundle.journal,
  '--container',
  container.id,
  ...filters.flatMap((filter) => ['--filter', filter]),
  ...extra,
]

const journal = (container: Container): Promise<Line[]> => readLines(container.bundle.journal).catch(() => [])
const journalEvents = async (container: Container) => (await journal(container)).map((line) => line.event)

/** No tracer is left: each has a file of the bundle on its command line. */
const noTracer = (container: Container) => noProcessOf(container.bundle)

const killings = async (container: Container) => (await journal(container)).filter(({ event }) => event === 'killed')

const untraced = async (pid: number): Promise<boolean> => {
  const threads = await readdir(`/proc/${pid}/task`)
  const tracers = await Promise.all(threads.map((thread) => statusField(Number(thread), 'TracerPid')))
  return tracers.every((tracer) => tracer === '0' || tracer === undefined)
}

const finishOf = (file: string): Promise<Line> =>
  until('the last line', async () => eventsOf(await readLines(file).catch(() => []), 'finish')[0])

for (const runtime of ['runc', 'crun'] as const) {
  for (const [way, extra] of Object.entries({ early: EARLY, 'at exec': AT_EXEC })) {
    t.test(`${runtime} exec, ${way}: a policy of two calls with a kill default`, async (t) => {
      const container = await startContainer(t, runtime)
      const enforce = enforcing(container, await save(t, allowOnly(MINI)), extra)
      t.match(await startExec(container, enforce, [container.id, '/bin/mini']), {
        exitCode: 7,
        stdout: 'mini',
        stderr: '',
      })
      t.match(await startExec(container, enforce, [container.id, '/bin/exact']), {
        exitCode: 128 + 31,
        stdout: 'exact',
      })
      const ways = {
        'no new privileges': { noNewPrivileges: true },
        'uid 1000 without capabilities': { user: { uid: 1000, gid: 1000 }, noNewPrivileges: true },
        'uid 1000 without capabilities, new privileges': { user: { uid: 1000, gid: 1000 }, noNewPrivileges: false },
      }
      for (const [name, process] of Object.entries(ways)) {
        const file = await processFile(t, { args: ['/bin/mini'], ...process })
        t.match(
          await startExec(container, enforce, ['--process', file, container.id]),
          { exitCode: 7, stdout: 'mini' },
          name,
        )
      }
      await noTracer(container)
      t.equal((await journalEvents(container)).filter((event) => event === 'in-force').length, 5)
      t.same(await killings(container), [])
      t.match((await journal(container)).at(-1), { container: container.id })
    })

    t.test(`${runtime} exec, ${way}: the runtime's own error and exit code stay`, async (t) => {
      const container = await startContainer(t, runtime)
      const plain = await startExec(
        container,
        ['learn', '--output', stream(container.bundle)],
        [container.id, '/bin/missing'],
      )
      const enforce = enforcing(container, await save(t, allowOnly(MINI)), extra)
      const result = await startExec(container, enforce, [container.id, '/bin/missing'])
      t.not(result.exitCode, 0)
      t.equal(result.exitCode, plain.exitCode)
      t.match(result.stderr, /\/bin\/missing.*no such file or directory/i)
      await until('ended is in the journal', async () => (await journalEvents(container)).includes('ended'))
      t.same(await killings(container), [])
      await noTracer(container)
    })
  }

  t.test(`${runtime} exec: what is loaded, and nobody stays attached`, async (t) => {
    const container = await startContainer(t, runtime)
    const programs = [denyOnly([39, 102], errno(EPERM)), denyOnly([108], errno(EPERM))]
    const enforce = enforcing(container, await save(t, ...programs), ['--log'])
    const pidFile = join(container.bundle.directory, 'exec.pid')
    const args = ['--pid-file', pidFile, container.id, '/bin/busybox', 'sleep', '1000']
    t.match(await execDetached(container, enforce, args), { exitCode: 0 })
    const pid = Number(await readFile(pidFile, 'utf8'))
    // crun does not wait for the program's start
    await until('nobody is attached', async () => (await statusField(pid, 'TracerPid')) === '0')
    t.equal(await statusField(pid, 'Seccomp_filters'), '2')
    t.equal(await statusField(pid, 'NoNewPrivs'), '0')
    const { stdout } = await execa(tracer, ['readback', '--pid', String(pid)])
    t.same(
      stdout.split('\n').map((line) => JSON.parse(line).base64),
      programs.map((program) => program.toString('base64')),
    )
    await noTracer(container)
    t.equal(await statusField(container.init, 'Seccomp'), '0', 'the container itself is as it was')
  })

  t.test(`${runtime} exec: learned, from the program's start to its last task's end`, async (t) => {
    const container = await startContainer(t, runtime, { programs: ['orphan'] })
    const file = stream(container.bundle)
    const result = await startExec(
      container,
      ['learn', '--output', file, '--run-id', 'r1'],
      [container.id, '/bin/exact'],
    )
    t.match(result, { exitCode: 6, stdout: 'exact', stderr: '' })
    const lines = await readLines(file) // at once
    t.match(lines[0], { event: 'hello', runId: 'r1', joining: container.init, backend: 'ptrace-adaptive' })
    t.match(eventsOf(lines, 'exec'), [{ exe: '/bin/exact' }])
    t.match(lines.at(-1), { event: 'finish', complete: true, reason: 'exited', exit: { code: 6 }, tasks: 1 })
    t.same(countsOf(lines), EXACT)
    t.equal(await statusField(container.init, 'TracerPid'), '0')

    const orphan = stream(container.bundle)
    const running = startExec(container, ['learn', '--output', orphan], [container.id, '/bin/orphan'], 'pipe')
    const inited = await until(
      'the program has ended',
      async () => eventsOf(await readLines(orphan).catch(() => []), 'init-exit')[0],
    )
    t.match(inited, { exit: { code: 5 }, tasks: 1 })
    running.stdin?.end()
    t.equal((await running).exitCode, 5)
    t.match(await finishOf(orphan), { complete: true, reason: 'exited', exit: { code: 5 }, tasks: 2 })
    t.equal(countsOf(await readLines(orphan))['x86_64:111'], 1, 'what the orphan did after the end of its parent')
    await noTracer(container)
  })

  t.test(`${runtime} exec: a program that is not there is nothing learned`, async (t) => {
    const container = await startContainer(t, runtime)
    const file = stream(container.bundle)
    const { exitCode, stderr } = await startExec(container, ['learn', '--output', file], [container.id, '/bin/missing'])
    t.not(exitCode, 0)
    t.match(stderr, /\/bin\/missing.*no such file or directory/i)
    t.match(await finishOf(file), { complete: false, reason: 'no-exec', exit: { code: exitCode }, calls: 0 })
    await noTracer(container)
  })

  t.test(`${runtime} exec: exit codes and signals`, async (t) => {
    const container = await startContainer(t, runtime)
    const allow = await save(t, denyOnly([108], errno(EPERM)))
    const file = () => stream(container.bundle)
    const tracings: (() => Tracing)[] = [() => enforcing(container, allow), () => ['learn', '--output', file()]]
    for (const tracing of tracings) {
      const sh = (script: string) => [container.id, '/bin/busybox', 'sh', '-c', script]
      t.equal((await startExec(container, tracing(), sh('exit 42'))).exitCode, 42)
      t.equal((await startExec(container, tracing(), sh('kill -KILL $$'))).exitCode, 128 + 9)
      const running = startExec(
        container,
        tracing(),
        sh('trap "exit 33" TERM; echo ready; while :; do sleep 0.05; done'),
      )
      await printed(running, 'ready')
      await until('the runtime is let go', () => untraced(running.pid as number))
      running.kill('SIGTERM') // the runtime hands it on
      t.equal((await running).exitCode, 33)
    }
    await noTracer(container)
  })
}

for (const runtime of ['runc', 'crun'] as const) {
  t.test(`${runtime} exec in a terminal`, async (t) => {
    const container = await startContainer(t, runtime, { terminals: true })
    const allow = await save(t, denyOnly([108], errno(EPERM)))
    const sh = [container.id, '/bin/busybox', 'sh', '-c', 'test -t 0 && grep ^Seccomp: /proc/self/status; exit 4']
    t.match(await execInTerminal(container, enforcing(container, allow), sh), { exitCode: 4, stdout: /Seccomp:\t2/ })
    const file = stream(container.bundle)
    t.match(await execInTerminal(container, ['learn', '--output', file], sh), { exitCode: 4, stdout: /Seccomp:\t0/ })
    t.match(await finishOf(file), { complete: true, exit: { code: 4 } })
    await noTracer(container)
  })

  t.test(`${runtime} exec: containers of other kinds`, async (t) => {
    const kinds: Record<string, Parameters<typeof startContainer>[2]> = {
      "the host's pid namespace": { hostPid: true },
      'a filter of its own': {
        seccomp: { defaultAction: 'SCMP_ACT_ALLOW', syscalls: [{ names: ['getuid'], action: 'SCMP_ACT_ERRNO' }] },
      },
      'no new privileges': { noNewPrivileges: true },
      'no capabilities': { capabilities: [] },
    }
    for (const [name, kind] of Object.entries(kinds)) {
      const container = await startContainer(t, runtime, kind)
      const enforce = enforcing(container, await save(t, allowOnly(MINI)), EARLY)
      t.match(await startExec(container, enforce, [container.id, '/bin/mini']), { exitCode: 7, stdout: 'mini' }, name)
      const file = stream(container.bundle)
      await startExec(container, ['learn', '--output', file], [container.id, '/bin/exact'])
      t.match(await finishOf(file), { complete: true, exit: { code: 6 } }, name)
      t.same(countsOf(await readLines(file)), EXACT, name)
      await noTracer(container)
    }
  })

  t.test(`${runtime} exec: a stopped init`, async (t) => {
    const container = await startContainer(t, runtime)
    process.kill(container.init, 'SIGSTOP')
    await until('init is stopped', () => isStopped(container.init))
    const enforce = enforcing(container, await save(t, allowOnly(MINI)))
    t.match(await startExec(container, enforce, [container.id, '/bin/mini']), { exitCode: 7, stdout: 'mini' })
    const file = stream(container.bundle)
    t.match(await startExec(container, ['learn', '--output', file], [container.id, '/bin/exact']), { exitCode: 6 })
    t.match((await readLines(file)).at(-1), { complete: true, reason: 'exited' })
    await until('init is stopped again', () => isStopped(container.init))
  })

  t.test(`${runtime} exec: twenty at once, enforced and learned`, async (t) => {
    const container = await startContainer(t, runtime)
    const filters = await save(t, allowOnly(MINI))
    const files = Array.from({ length: 10 }, () => stream(container.bundle))
    const learned = files.map((file) => startExec(container, ['learn', '--output', file], [container.id, '/bin/exact']))
    const enforced = files.map((_, i) =>
      startExec(container, enforcing(container, filters), [container.id, i % 2 ? '/bin/mini' : '/bin/exact']),
    )
    for (const { exitCode, stdout } of await Promise.all(learned)) t.same([exitCode, stdout], [6, 'exact'])
    for (const [i, { exitCode, stdout }] of (await Promise.all(enforced)).entries())
      t.same([exitCode, stdout], i % 2 ? [7, 'mini'] : [128 + 31, 'exact'])
    for (const file of files) {
      const lines = await readLines(file)
      t.match(lines.at(-1), { event: 'finish', complete: true, tasks: 1 })
      t.same(countsOf(lines), EXACT)
    }
    await noTracer(container)
  })
}

t.test('a user namespace', async (t) => {
  const container = await startContainer(t, 'runc', { userNamespace: true })
  for (const extra of [EARLY, AT_EXEC]) {
    const enforce = enforcing(container, await save(t, allowOnly(MINI)), extra)
    t.match(await startExec(container, enforce, [container.id, '/bin/mini']), { exitCode: 7, stdout: 'mini' })
  }
  const file = stream(container.bundle)
  t.match(await startExec(container, ['learn', '--output', file], [container.id, '/bin/exact']), { exitCode: 6 })
  t.same(countsOf(await readLines(file)), EXACT)
})

t.test('a process with threads becomes the runtime', async (t) => {
  const container = await startContainer(t, 'runc')
  const script = `
    const [tracer, ...words] = process.argv.slice(1)
    const end = words.indexOf('runc')
    const args = [...words.slice(0, end), '--pid', String(process.pid)]
    require('node:child_process').execFileSync(tracer, args, { stdio: ['ignore', 'ignore', 'inherit'] })
    process.execve('/bin/sh', ['sh', '-c', 'exec "$@"', 'sh', ...words.slice(end)], { PATH: process.env.PATH })`
  const become = (...tracing: string[]) => {
    const joining = ['--joining', '--container-pid', String(container.init)]
    const exec = (program: string) => ['runc', '--root', container.bundle.root, 'exec', container.id, program]
    return (program: string) =>
      execa(process.execPath, ['-e', script, tracer, ...tracing, ...joining, ...exec(program)], { reject: false })
  }
  const enforced = become(...enforcing(container, await save(t, allowOnly(MINI))))
  t.match(await enforced('/bin/mini'), { exitCode: 7, stdout: 'mini' })
  t.match(await enforced('/bin/exact'), { exitCode: 128 + 31, stdout: 'exact' })
  const file = stream(container.bundle)
  t.match(await become('learn', '--output', file)('/bin/exact'), { exitCode: 6, stdout: 'exact' })
  t.match((await readLines(file)).at(-1), { event: 'finish', complete: true })
  t.same(countsOf(await readLines(file)), EXACT)
  await noTracer(container)
})

t.test('early: a setuid program keeps its power; at exec it loses it', async (t) => {
  const container = await startContainer(t, 'runc', { programs: ['whoami'] })
  const program = join(container.bundle.rootfs, 'bin/whoami')
  await chown(program, 0, 0)
  await chmod(program, 0o4755)
  const filters = await save(t, denyOnly([108], errno(EPERM)))
  const file = await processFile(t, {
    args: ['/bin/busybox', 'sh', '-c', '/bin/whoami'],
    user: { uid: 1000, gid: 1000 },
    noNewPrivileges: false,
  })
  for (const [extra, stdout] of [
    [EARLY, '1000 0'],
    [AT_EXEC, '1000 1000'],
  ] as const) {
    const enforce = enforcing(container, filters, [...extra])
    t.match(await startExec(container, enforce, ['--process', file, container.id]), { exitCode: 0, stdout })
  }
})

t.test('a container that is being learned by another tracer', async (t) => {
  const container = await startContainer(t, 'runc', { hook: learnHook })
  const others = async () => seenOf(await readLines(container.bundle.output))
  const before = await until('the container sleeps', async () => {
    const seen = await others()
    return seen.some((call) => ['x86_64:35', 'x86_64:230'].includes(call)) && seen // nanosleep, clock_nanosleep
  })
  const enforce = enforcing(container, await save(t, allowOnly(MINI)))
  const mine = stream(container.bundle)
  t.match(await startExec(container, ['learn', '--output', mine], [container.id, '/bin/exact']), { exitCode: 6 })
  t.match(await startExec(container, enforce, [container.id, '/bin/mini']), { exitCode: 7 })
  t.same(countsOf(await readLines(mine)), EXACT)
  t.same(await others(), before, "the other tracer sees the container's init and its descendants only")
  process.kill(container.init, 'SIGKILL')
  t.match(await finishOf(container.bundle.output), { complete: true, exit: { signal: 9 } })
})

t.test('processes that join in unusual ways', async (t) => {
  const container = await startContainer(t, 'runc')
  const joiner = join(fixtures, 'joiner')
  const filters = await save(t, allowOnly(MINI))
  const enforce = (...extra: string[]) => enforcing(container, filters, extra)
  const lastKilled = async () => (await journal(container)).findLast(({ event }) => event === 'killed')?.message

  t.match(await startJoiner(container, enforce(), joiner, 'together', '/bin/mini'), {
    exitCode: 14,
    stdout: 'mini\nmini',
  })
  const killed = (128 + 31) * 2 - 256
  t.match(
    await startJoiner(container, enforce(), joiner, 'together', '/bin/exact'),
    { exitCode: killed },
    'both are filtered',
  )
  t.match(await startJoiner(container, enforce(), joiner, 'stopped', '/bin/mini'), { exitCode: 7, stdout: 'mini' })
  t.match(await startJoiner(container, enforce(), joiner, 'none', '/bin/mini'), { exitCode: 5, stdout: '' })
  t.same(await killings(container), [])

  const late = await startJoiner(container, enforce(), joiner, 'late', '/bin/mini')
  t.match(late, { exitCode: 128 + 9, stdout: '' }, 'the program did not start')
  t.match(await lastKilled(), /NO_NEW_PRIVS/)
  t.match(await startJoiner(container, enforce(...EARLY), joiner, 'late', '/bin/mini'), {
    exitCode: 128 + 9,
    stdout: '',
  })
  t.match(await lastKilled(), /could not be installed before/)
  const permitted = enforce('--allow-no-new-privs')
  t.match(await startJoiner(container, permitted, joiner, 'late', '/bin/mini'), { exitCode: 7, stdout: 'mini' })
  t.match(await startJoiner(container, permitted, joiner, 'late', '/bin/exact'), { exitCode: 128 + 31 })
  await noTracer(container)

  const file = stream(container.bundle)
  t.match(await startJoiner(container, ['learn', '--output', file], joiner, 'late', '/bin/exact'), { exitCode: 6 })
  t.same(countsOf(await readLines(file)), EXACT)
  const both = stream(container.bundle)
  t.match(await startJoiner(container, ['learn', '--output', both], joiner, 'together', '/bin/exact'), { exitCode: 12 })
  t.match(
    await finishOf(both),
    { complete: false, lost: { tasks: 2 } },
    'the second program, and the process that started both in the container',
  )
  t.match(eventsOf(await readLines(both), 'warn'), [{ code: 'untraced-process' }, { code: 'untraced-process' }])
})

/** A tracer that has done its work already is fine, too. */
const end = (tracer: number | undefined): void => {
  try {
    if (tracer !== undefined) process.kill(tracer, 'SIGKILL')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

t.test('the death of the tracer at any moment never leaves a program unfiltered', async (t) => {
  const container = await startContainer(t, 'runc')
  const enforce = enforcing(container, await save(t, denyOnly([108], errno(EPERM))))
  const begin = performance.now()
  t.match(await startExec(container, enforce, [container.id, ...STATUS]), { exitCode: 0, stdout: 'Seccomp:\t2' })
  const duration = performance.now() - begin
  const runs = process.env.TEST_ALL ? 200 : 60
  const outcomes = { filtered: 0, killed: 0 }
  for (let i = 0; i < runs; i++) {
    const running = startExec(container, enforce, [container.id, ...STATUS])
    const pid = await tracerOf(running.pid as number)
    await delay((duration * i) / runs) // any moment is a good one: nothing is waited for
    end(pid)
    const { exitCode, stdout, signal } = await running
    if (stdout !== '') {
      t.equal(stdout, 'Seccomp:\t2')
      outcomes.filtered++
    } else {
      t.ok(signal === 'SIGKILL' || exitCode !== 0)
      outcomes.killed++
    }
  }
  t.ok(outcomes.killed > 0, JSON.stringify(outcomes))
  t.match(await startExec(container, enforce, [container.id, ...STATUS]), { exitCode: 0, stdout: 'Seccomp:\t2' })
  await noTracer(container)
})

t.test('the death of a tracer that learns harms nobody', async (t) => {
  const container = await startContainer(t, 'runc')
  for (let i = 0; i < 30; i++) {
    const running = startExec(container, ['learn', '--output', stream(container.bundle)], [container.id, '/bin/exact'])
    await becameRuntime(running.pid as number) // before that the tracer's death is an error, and nothing starts
    const pid = Number((await statusField(running.pid as number, 'TracerPid')) ?? 0)
    await delay(i * 2)
    if (pid > 0) end(pid)
    t.match(await running, { exitCode: 6, stdout: 'exact' })
  }
  await noTracer(container)
})

t.test('what is refused before the runtime starts', async (t) => {
  const container = await startContainer(t, 'runc')
  const filters = await save(t, allowOnly(MINI), invalid())
  const [good, bad] = filters as [string, string]
  const args = [container.id, '/bin/mini']
  t.match(await startExec(container, enforcing(container, [bad]), args), {
    exitCode: 1,
    stdout: '',
    stderr: /not a valid seccomp program/,
  })
  const host = { ...container, init: process.pid }
  const learn: Tracing = ['learn', '--output', stream(container.bundle)]
  for (const tracing of [enforcing(container, [good]), learn])
    t.match(await startExec(host, tracing, args), {
      exitCode: 1,
      stdout: '',
      stderr: /the container has no mount namespace of its own/,
    })
  const gone = { ...container, init: 4194304 }
  for (const tracing of [enforcing(container, [good]), learn])
    t.match(await startExec(gone, tracing, args), {
      exitCode: 1,
      stdout: '',
      stderr: /cannot look at the mount namespace of the container's init: No such file or directory/,
    })
  await t.rejects(readFile(learn[2] as string), { code: 'ENOENT' })
  const usage = /expected --joining, --pid and --container-pid together/
  for (const words of [
    ['enforce', '--filter', good, '--pid', '5', '--joining'],
    ['enforce', '--filter', good, '--pid', '5', '--container-pid', '6'],
    ['enforce', '--filter', good, '--state', '--joining', '--container-pid', '6'],
    ['learn', '--output', 'o', '--pid', '5', '--joining'],
    ['learn', '--output', 'o', '--state', '--joining', '--container-pid', '6'],
  ])
    t.match(await execa(tracer, words, { reject: false, stdin: 'ignore' }), { exitCode: 2, stderr: usage })
  await noTracer(container)
})
