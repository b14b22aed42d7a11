// enforce puts filters into force at the program's first instruction, in both ways, and fails closed.

import { chmod, chown, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { execa } from 'execa'
import t from 'tap'
import { allowOnly, denyOnly, errno, I386, invalid, KILL_PROCESS, sections, X86_64 } from './bpf.ts'
import {
  type Bundle,
  type BundleOptions,
  containerId,
  enforceHook,
  type Line,
  makeBundle,
  noProcessOf,
  printed,
  readLines,
  run,
  runc,
  start,
  statusField,
  type Teardown,
  temporary,
  tracer,
  until,
} from './harness.ts'

const EPERM = 1
const MINI = [1, 231] // write, exit_group
const EARLY = ['--install', 'early']
const AT_EXEC = ['--install', 'exec', '--allow-no-new-privs']

const save = async (t: Teardown, ...programs: Buffer[]): Promise<string[]> => {
  const directory = await temporary(t)
  const files = programs.map((_, i) => join(directory, `${i}.bpf`))
  await Promise.all(programs.map((program, i) => writeFile(files[i] ?? '', program)))
  return files
}

const enforce = async (t: Teardown, programs: Buffer[], options: BundleOptions & { extra?: string[] }) => {
  const hook = [...enforceHook(...(await save(t, ...programs))), ...(options.extra ?? [])]
  return await makeBundle(t, { ...options, hook })
}

const journal = (bundle: Bundle): Promise<Line[]> => readLines(bundle.journal).catch(() => [])
const journalEvents = async (bundle: Bundle): Promise<string[]> => (await journal(bundle)).map((line) => line.event)

for (const [way, extra] of Object.entries({ early: EARLY, 'at exec': AT_EXEC })) {
  t.test(`${way}: a policy of two calls with a kill default`, async (t) => {
    const variants: Record<string, Partial<BundleOptions>> = {
      plain: {},
      'no new privileges': { noNewPrivileges: true },
      'uid 1000 without capabilities': { uid: 1000, capabilities: [] },
      'read-only root': { readonly: true },
    }
    for (const [name, variant] of Object.entries(variants)) {
      const bundle = await enforce(t, [allowOnly(MINI)], { args: ['/bin/mini'], extra, ...variant })
      const result = await run(bundle)
      t.match(result, { exitCode: 7, stdout: 'mini' }, name)
      await until('in-force is in the journal', async () => (await journalEvents(bundle)).includes('in-force'))
      await noProcessOf(bundle)
    }
  })

  t.test(`${way}: a call outside of the policy kills`, async (t) => {
    const bundle = await enforce(t, [allowOnly(MINI)], { args: ['/bin/exact'], extra })
    t.match(await run(bundle), { exitCode: 128 + 31, stdout: 'exact' }) // SIGSYS
  })

  t.test(`${way}: dynamic programs, scripts, 32-bit programs`, async (t) => {
    const deny = denyOnly([39, 102], errno(EPERM))
    const dynamic = await enforce(t, [deny], { args: ['/bin/dynamic'], programs: ['dynamic'], extra })
    t.match(await run(dynamic), { exitCode: 4, stdout: 'dynamic' })
    const script = await enforce(t, [allowOnly([1, 39, 102, 231])], { args: ['/bin/script'], extra })
    await writeFile(join(script.rootfs, 'bin/script'), '#!/bin/exact\n')
    await chmod(join(script.rootfs, 'bin/script'), 0o755)
    t.match(await run(script), { exitCode: 6, stdout: 'exact' })
    const policy = (numbers: number[]) => sections({ [X86_64]: [], [I386]: numbers }, KILL_PROCESS)
    const narrow = { args: ['/bin/exact32'], programs: ['exact32'], extra }
    t.match(await run(await enforce(t, [policy([4, 20, 252])], narrow)), { exitCode: 8, stdout: 'exact32' })
    t.match(await run(await enforce(t, [policy([4, 252])], narrow)), { exitCode: 128 + 31 }, 'the 32-bit part decides')
  })

  t.test(`${way}: several filters, the strict one first`, async (t) => {
    const programs = [allowOnly(MINI), denyOnly([39], errno(EPERM)), denyOnly([102], errno(EPERM))]
    const bundle = await enforce(t, programs, { args: ['/bin/mini'], extra })
    t.match(await run(bundle), { exitCode: 7 })
  })

  t.test(`${way}: what readback shows is what was meant`, async (t) => {
    const programs = [denyOnly([39, 102, 104], errno(EPERM)), denyOnly([108], errno(EPERM))]
    const options = { args: ['/bin/busybox', 'sh', '-c', 'echo ready; read x; exit 9'], extra: [...extra, '--log'] }
    const bundle = await enforce(t, programs, options)
    const running = start(bundle)
    await printed(running, 'ready')
    const pid = (await journal(bundle)).at(-1)?.pid
    t.equal(await statusField(pid, 'Seccomp_filters'), '2')
    t.equal(await statusField(pid, 'TracerPid'), '0', 'nobody is attached any more')
    t.equal(await statusField(pid, 'NoNewPrivs'), way === 'early' ? '0' : '1')
    const { stdout } = await execa(tracer, ['readback', '--pid', String(pid)])
    t.same(
      stdout.split('\n').map((line) => JSON.parse(line)),
      programs.map((program, index) => ({
        index,
        instructions: program.length / 8,
        log: true,
        base64: program.toString('base64'),
      })),
    )
    running.stdin.end('\n')
    t.equal((await running).exitCode, 9)
  })

  t.test(`${way}: the runtime's own error stays when the command is not found`, async (t) => {
    const bundle = await enforce(t, [allowOnly(MINI)], { args: ['/bin/missing'], extra })
    const result = await run(bundle)
    t.not(result.exitCode, 0)
    t.match(result.stderr, /\/bin\/missing.*no such file or directory/)
    await noProcessOf(bundle)
    t.notOk((await journalEvents(bundle)).includes('killed'))
  })

  t.test(`${way}: create, a pause, start`, async (t) => {
    const bundle = await enforce(t, [allowOnly(MINI)], { args: ['/bin/mini'], extra })
    const id = containerId()
    t.equal((await runc(bundle, 'create', '--bundle', bundle.directory, id)).exitCode, 0)
    const { pid } = JSON.parse((await execa('runc', ['--root', bundle.root, 'state', id])).stdout)
    t.ok(Number(await statusField(pid, 'TracerPid')) > 0, 'held')
    t.equal((await runc(bundle, 'start', id)).exitCode, 0)
    await until('the program has ended', async () =>
      [undefined, 'Z (zombie)'].includes(await statusField(pid, 'State')),
    )
    t.same(
      (await journalEvents(bundle)).filter((event) => event !== 'installed'),
      ['in-force'],
    )
    t.equal((await runc(bundle, 'delete', '--force', id)).exitCode, 0)
    await noProcessOf(bundle)
  })

  t.test(`${way}: the death of the tracer between create and start ends the container`, async (t) => {
    const bundle = await enforce(t, [allowOnly(MINI)], { args: ['/bin/mini'], extra })
    const id = containerId()
    await runc(bundle, 'create', '--bundle', bundle.directory, id)
    const { pid } = JSON.parse((await execa('runc', ['--root', bundle.root, 'state', id])).stdout)
    process.kill(Number(await statusField(pid, 'TracerPid')), 'SIGKILL')
    await until('init is dead', async () => [undefined, 'Z (zombie)'].includes(await statusField(pid, 'State')))
    t.not((await runc(bundle, 'start', id)).exitCode, 0)
    await runc(bundle, 'delete', '--force', id)
    await noProcessOf(bundle)
  })
}

t.test('early: a setuid program keeps its power; at exec it loses it', async (t) => {
  for (const [extra, expected] of [
    [EARLY, '1000 0'],
    [AT_EXEC, '1000 1000'],
  ] as const) {
    const bundle = await enforce(t, [denyOnly([39], errno(EPERM))], {
      args: ['/bin/busybox', 'sh', '-c', '/bin/whoami'],
      programs: ['whoami'],
      uid: 1000,
      extra: [...extra],
    })
    const program = join(bundle.rootfs, 'bin/whoami')
    await chown(program, 0, 0)
    await chmod(program, 0o4755)
    t.match(await run(bundle), { exitCode: 0, stdout: expected })
  }
})

t.test("early: a runtime's hook in the container is not filtered", async (t) => {
  const bundle = await enforce(t, [allowOnly(MINI)], {
    args: ['/bin/mini'],
    extra: EARLY,
    startContainer: [{ path: '/bin/busybox', args: ['busybox', 'touch', '/tmp/hooked'] }],
  })
  t.match(await run(bundle), { exitCode: 7, stdout: 'mini' })
  await readFile(join(bundle.rootfs, 'tmp/hooked'))
  await noProcessOf(bundle)
})

t.test("early: next to the runtime's own filter", async (t) => {
  const bundle = await enforce(t, [allowOnly(MINI)], {
    args: ['/bin/mini'],
    extra: EARLY,
    seccomp: { defaultAction: 'SCMP_ACT_ALLOW', syscalls: [{ names: ['getuid'], action: 'SCMP_ACT_ERRNO' }] },
  })
  t.match(await run(bundle), { exitCode: 7, stdout: 'mini' })
})

t.test('at exec: without permission for NO_NEW_PRIVS the program does not start', async (t) => {
  const refused = await enforce(t, [allowOnly(MINI)], { args: ['/bin/mini'], extra: ['--install', 'exec'] })
  const result = await run(refused)
  t.match(result, { exitCode: 128 + 9, stdout: '' })
  t.match((await journal(refused)).at(-1), { event: 'killed', message: /NO_NEW_PRIVS/ })
  await noProcessOf(refused)
  const permitted = { args: ['/bin/mini'], extra: ['--install', 'exec'], noNewPrivileges: true }
  t.match(await run(await enforce(t, [allowOnly(MINI)], permitted)), { exitCode: 7, stdout: 'mini' })
})

t.test('a program that the kernel refuses is a clean error of the hook', async (t) => {
  for (const extra of [EARLY, AT_EXEC]) {
    const bundle = await enforce(t, [allowOnly(MINI), invalid()], { args: ['/bin/mini'], extra: [...extra] })
    const result = await run(bundle)
    t.equal(result.exitCode, 1)
    t.equal(result.stdout, '')
    t.match(result.stderr, /enforce: filter .*1\.bpf: the kernel refuses the program: Invalid argument/)
    await noProcessOf(bundle)
    t.match(await journal(bundle), [{ event: 'refused', message: /the kernel refuses the program/ }])
  }
})

t.test('bad filter files', async (t) => {
  const directory = await temporary(t)
  const file = join(directory, 'bad')
  const attempt = (path: string) =>
    execa(tracer, ['enforce', '--pid', String(process.pid), '--filter', path], { reject: false })
  for (const size of [0, 7, 8 * 4097]) {
    await writeFile(file, Buffer.alloc(size))
    t.match(await attempt(file), { exitCode: 1, stderr: /expected 1 to 4096 instructions/ }, `${size} bytes`)
  }
  t.match(await attempt(directory), { exitCode: 1, stderr: /is no regular file/ })
  t.match(await attempt('/dev/zero'), { exitCode: 1, stderr: /is no regular file/ })
  t.match(await attempt(join(directory, 'missing')), { exitCode: 1, stderr: /No such file/ })
  await execa('mkfifo', [join(directory, 'fifo')])
  t.match(await attempt(join(directory, 'fifo')), { exitCode: 1, stderr: /is no regular file/ })
})

t.test('the largest program and a full stack of them', async (t) => {
  const jumps = allowOnly([...MINI])
  const padding = Buffer.alloc((4096 - jumps.length / 8) * 8)
  for (let i = 0; i < padding.length; i += 8) padding.writeUInt16LE(0x20, i) // loads that change nothing that is used
  const large = Buffer.concat([padding, jumps])
  t.equal(large.length, 4096 * 8)
  for (const extra of [EARLY, AT_EXEC])
    t.match(await run(await enforce(t, [large, large], { args: ['/bin/mini'], extra: [...extra] })), { exitCode: 7 })
})
