/** Learned, then enforced, on stock runc: programs of every kind, with noNewPrivileges and without. */
import { test } from 'tap'
import { type Container, namesOf, Sandbox } from '../lib/sandbox.ts'

type Kind = { readonly name: string; readonly program: string } & Partial<Container>

const KINDS: readonly Kind[] = [
  { name: 'dynamic program', program: '/fixtures/act' },
  { name: 'static program', program: '/fixtures/act-static' },
  { name: 'non-root user', program: '/fixtures/act', uid: 1000 },
  { name: 'writable root file system', program: '/fixtures/act', writable: true },
]

for (const noNewPrivileges of [true, false]) {
  for (const { name, program, ...more } of KINDS) {
    test(`${name}, noNewPrivileges ${noNewPrivileges}`, async (t) => {
      const sandbox = await Sandbox.create(t)
      const learned = await sandbox.run({
        ...more,
        noNewPrivileges,
        mode: 'learn',
        args: [program, 'hello', 'exit', '3'],
      })
      t.match(learned, { exitCode: 3, stdout: 'hello: ok' })
      t.equal((await sandbox.policy()).complete, true)

      const enforce = (...args: string[]) =>
        sandbox.run({ ...more, noNewPrivileges, mode: 'enforce', args: [program, ...args] })
      t.match(await enforce('hello', 'exit', '3'), learned, 'what was learned runs as before')
      t.match(
        await enforce('hello', 'socket', 'fork', 'getppid', 'hello'),
        {
          exitCode: 0,
          stdout: [
            'hello: ok',
            ...['socket', 'fork', 'getppid'].map((call) => `${call}: Operation not permitted`),
            'hello: ok',
          ].join('\n'),
        },
        'what was not learned is refused, and the program goes on',
      )
      t.match(await enforce('newer'), { stdout: 'newer: Function not implemented' }, 'newer calls get ENOSYS')
      t.match(
        await enforce('exec', '/fixtures/act', 'hello'),
        { exitCode: 124, stdout: 'exec: Operation not permitted' },
        'the initial execve is not part of the policy',
      )
    })
  }

  test(`#! script, noNewPrivileges ${noNewPrivileges}`, async (t) => {
    const sandbox = await Sandbox.create(t)
    const container = { noNewPrivileges, args: ['/usr/bin/sh', '-c', 'true'] }
    // The fixture as interpreter: its argument is the script's path, which it does not know as an action.
    const script = { noNewPrivileges, args: ['/fixtures/script'] }
    const learned = await sandbox.run({ ...script, mode: 'learn' })
    t.match(learned, { exitCode: 126, stdout: '/fixtures/script: unknown action' })
    t.match(await sandbox.run({ ...script, mode: 'enforce' }), learned)
    t.match((await sandbox.policy()).runs[0], { program: { path: '/fixtures/act' } }, 'the program is the interpreter')
    t.not((await sandbox.run({ ...container, mode: 'enforce' })).exitCode, 0, 'another program is not')
  })

  test(`a policy of write and exit_group alone, violations killed, noNewPrivileges ${noNewPrivileges}`, async (t) => {
    const sandbox = await Sandbox.create(t)
    const bare = { noNewPrivileges, args: ['/fixtures/bare'] }
    t.match(await sandbox.run({ ...bare, mode: 'learn' }), { exitCode: 0, stdout: 'bare' })
    t.same(
      namesOf(await sandbox.policy()),
      ['exit_group', 'getcpu', 'gettimeofday', 'restart_syscall', 'rt_sigreturn', 'time', 'write'],
      "none of runc's own calls",
    )
    const annotations = { 'io.sandbox.action': 'kill' }
    t.match(await sandbox.run({ ...bare, mode: 'enforce', annotations }), { exitCode: 0, stdout: 'bare' })
    // The first instruction of a dynamic program is the loader's, whose first call (brk) was not learned.
    const other = await sandbox.run({ noNewPrivileges, args: ['/fixtures/act', 'hello'], mode: 'enforce', annotations })
    t.match(other, { exitCode: 128 + 31, stdout: '' }, 'in force before the first instruction: SIGSYS')
  })
}

test('a setuid program keeps its power where the configuration allows it, and only there', async (t) => {
  const sandbox = await Sandbox.create(t)
  const args = ['/fixtures/setuid', 'euid']
  for (const [noNewPrivileges, who] of [
    [false, 'root'],
    [true, 'other'],
  ] as const) {
    const container = { args, uid: 1000, noNewPrivileges, policy: `nnp-${noNewPrivileges}` }
    t.match(await sandbox.run({ ...container }), { exitCode: 0, stdout: `euid: ${who}` }, 'without us')
    t.match(await sandbox.run({ ...container, mode: 'learn' }), { exitCode: 0, stdout: `euid: ${who}` }, 'learned')
    t.match(await sandbox.run({ ...container, mode: 'enforce' }), { exitCode: 0, stdout: `euid: ${who}` }, 'enforced')
  }
})

test('violation actions', async (t) => {
  const sandbox = await Sandbox.create(t)
  await sandbox.run({ mode: 'learn', args: ['/fixtures/act', 'hello'] })
  const enforce = (action: string) =>
    sandbox.run({ mode: 'enforce', args: ['/fixtures/act', 'socket'], annotations: { 'io.sandbox.action': action } })
  t.match(await enforce('errno'), { exitCode: 0, stdout: 'socket: Operation not permitted' })
  t.match(await enforce('kill'), { exitCode: 128 + 31, stdout: '' })
  t.match(await enforce('log'), { exitCode: 0, stdout: 'socket: ok' })
})

test('a container learned twice gets the union', async (t) => {
  const sandbox = await Sandbox.create(t)
  await sandbox.run({ mode: 'learn', args: ['/fixtures/act', 'socket'] })
  await sandbox.run({ mode: 'learn', args: ['/fixtures/act', 'fork'] })
  const both = await sandbox.run({ mode: 'enforce', args: ['/fixtures/act', 'socket', 'fork', 'getppid'] })
  t.equal(both.stdout, 'socket: ok\nfork: ok\ngetppid: Operation not permitted')
  const { runs, complete } = await sandbox.policy()
  t.equal(runs.length, 2)
  t.ok(complete)
})

test('a learned run is in the policy as soon as runc run returns, also without a poststop hook', async (t) => {
  const sandbox = await Sandbox.create(t)
  for (let round = 0; round < 10; round++) {
    const policy = `p${round}`
    const hooks = { createRuntime: [sandbox.hook('learn')] }
    await sandbox.run({ mode: 'learn', policy, hooks, args: ['/fixtures/act', 'hello'] })
    t.match(await sandbox.run({ mode: 'enforce', policy, args: ['/fixtures/act', 'hello'] }), {
      exitCode: 0,
      stdout: 'hello: ok',
    })
  }
})

test('a policy made complete by one run is not made narrower by a shorter one', async (t) => {
  const sandbox = await Sandbox.create(t)
  await sandbox.run({ mode: 'learn', args: ['/fixtures/act', 'socket'] })
  const before = namesOf(await sandbox.policy())
  await sandbox.run({ mode: 'learn', args: ['/fixtures/bare'] })
  t.same(namesOf(await sandbox.policy()), before)
})
