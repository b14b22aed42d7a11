/** The ways of putting a policy into force, on runc and crun: at exec, in the bundle's linux.seccomp, as raw BPF in crun's annotation. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { execa } from 'execa'
import { test } from 'tap'
import { CGROUP2 } from '../engines/crun.ts'
import { needs } from '../lib/needs.ts'
import { type Container, resultOf, Sandbox, SHIM } from '../lib/sandbox.ts'

interface Door {
  readonly runtime: 'runc' | 'crun'
  readonly method: 'auto' | 'exec' | 'bundle' | 'crun-bpf'
}

async function setUp(t: Parameters<typeof Sandbox.create>[0], { runtime, method }: Door) {
  const sandbox = await Sandbox.create(t, { runtime, enforce: { method } })
  const globals = ['--config', sandbox.config, '--root', join(sandbox.directory, 'state')]
  const prefix = runtime === 'crun' ? CGROUP2 : []
  const options = runtime === 'crun' ? ['--cgroup-manager=disabled'] : []
  /** `change` edits config.json, as its user would. */
  const run = async (more: Container, change: (config: Record<string, unknown>) => void = () => {}) => {
    const bundle = sandbox.bundle({ hooks: {}, ...more })
    const path = join(bundle, 'config.json')
    const config = JSON.parse(readFileSync(path, 'utf8'))
    change(config)
    writeFileSync(path, JSON.stringify(config))
    const [program = '', ...args] = [
      ...prefix,
      SHIM,
      ...globals,
      ...options,
      'run',
      '--bundle',
      bundle,
      sandbox.newId(),
    ]
    return resultOf(await execa(program, args, { reject: false, stdin: 'ignore' }))
  }
  return { sandbox, globals, run }
}

const DOORS: readonly Door[] = [
  { runtime: 'crun', method: 'exec' },
  { runtime: 'crun', method: 'crun-bpf' },
  { runtime: 'crun', method: 'bundle' },
  { runtime: 'runc', method: 'bundle' },
]

for (const door of DOORS) {
  for (const noNewPrivileges of [true, false]) {
    test(
      `${door.runtime}, ${door.method}, noNewPrivileges ${noNewPrivileges}: learn, enforce, refuse`,
      needs(door.runtime),
      async (t) => {
        const { sandbox, run } = await setUp(t, door)
        const act = (mode: 'learn' | 'enforce', ...args: string[]) =>
          run({ noNewPrivileges, mode, args: ['/fixtures/act', ...args] })
        t.match(await act('learn', 'hello', 'exit', '3'), { exitCode: 3, stdout: 'hello: ok' })
        t.match(await act('enforce', 'hello', 'socket', 'fork', 'exit', '3'), {
          exitCode: 3,
          stdout: 'hello: ok\nsocket: Operation not permitted\nfork: Operation not permitted',
        })
        const how = door.method === 'exec' ? 'early' : 'by the runtime'
        t.match(sandbox.journal().at(-1), { event: 'in-force', message: new RegExp(`installed ${how}$`) }, 'read back')
        t.same(sandbox.kept(), [])
        if (door.runtime !== 'crun') return
        // A program that allows everything: { BPF_RET | BPF_K, SECCOMP_RET_ALLOW }.
        const annotations = { 'run.oci.seccomp_bpf_data': 'BgAAAAAA/38=' }
        t.match(
          await run({ noNewPrivileges, mode: 'enforce', annotations, args: ['/fixtures/act', 'socket'] }),
          { stdout: 'socket: Operation not permitted' },
          "a program of the user's does not take the policy's place",
        )
      },
    )
  }
}

test("the bundle's own linux.seccomp is never widened", needs('crun'), async (t) => {
  for (const runtime of ['runc', 'crun'] as const) {
    const { run } = await setUp(t, { runtime, method: 'bundle' })
    await run({ mode: 'learn', args: ['/fixtures/act', 'getppid', 'socket'] })
    const seccomp = {
      defaultAction: 'SCMP_ACT_ALLOW',
      syscalls: [{ names: ['socket'], action: 'SCMP_ACT_ERRNO', errnoRet: 13 }],
    }
    const result = await run({ mode: 'enforce', args: ['/fixtures/act', 'getppid', 'socket', 'fork'] }, (config) => {
      config.linux = { ...(config.linux as object), seccomp }
    })
    t.match(result, {
      exitCode: 0,
      stdout: 'getppid: ok\nsocket: Operation not permitted\nfork: Operation not permitted',
    })
  }
  const { run } = await setUp(t, { runtime: 'crun', method: 'crun-bpf' })
  await run({ mode: 'learn', args: ['/fixtures/act', 'hello'] })
  const refused = await run({ mode: 'enforce', args: ['/fixtures/act', 'hello'] }, (config) => {
    config.linux = { ...(config.linux as object), seccomp: { defaultAction: 'SCMP_ACT_ALLOW' } }
  })
  t.match(refused, { exitCode: 1, stdout: '', stderr: /crun would not load then.*\[NOT_PERMITTED\]/ })
})

for (const door of DOORS) {
  test(`${door.runtime}, ${door.method}: the arguments of calls`, needs(door.runtime), async (t) => {
    const { run } = await setUp(t, door)
    const act = (mode: 'learn' | 'enforce', ...args: string[]) =>
      run({ mode, annotations: { 'io.sandbox.detail': 'args' }, args: ['/fixtures/act', ...args] })
    t.match(await act('learn', 'unix'), { exitCode: 0, stdout: 'unix: ok' })
    t.match(await act('enforce', 'unix', 'socket'), { stdout: 'unix: ok\nsocket: Operation not permitted' })
  })
}

test('linux.seccomp of a policy for several architectures, with each action', needs('crun', 'podman'), async (t) => {
  for (const runtime of ['runc', 'crun'] as const) {
    const { sandbox, run } = await setUp(t, { runtime, method: 'bundle' })
    // podman's default profile.
    const from = ['--format', 'oci', '/usr/share/containers/seccomp.json']
    t.match(await sandbox.cli('import', ...from, '--name', 'test'), { exitCode: 0 })
    t.same(Object.keys((await sandbox.policy()).architectures), ['x32', 'x86', 'x86_64'])
    for (const action of ['errno', 'log', 'kill']) {
      const annotations = { 'io.sandbox.action': action }
      const result = await run({ mode: 'enforce', annotations, args: ['/fixtures/act', 'hello', 'fork', 'exit', '3'] })
      t.match(result, { exitCode: 3, stdout: 'hello: ok\nfork: ok' }, `${runtime}, ${action}`)
      t.match(sandbox.journal().at(-1), { event: 'in-force' })
    }
  }
})

test('without the right to trace the runtime loads the policy, and nobody can look', async (t) => {
  const { sandbox, globals, run } = await setUp(t, { runtime: 'runc', method: 'auto' })
  t.match(await run({ mode: 'learn', args: ['/fixtures/act', 'hello'] }), { exitCode: 0 })
  const bundle = sandbox.bundle({ hooks: {}, mode: 'enforce', args: ['/fixtures/act', 'hello', 'socket'] })
  const line = [SHIM, ...globals, 'run', '--bundle', bundle, sandbox.newId()]
  const untraced = ['--inh-caps=-sys_ptrace', '--bounding-set=-sys_ptrace', ...line]
  t.match(resultOf(await execa('setpriv', untraced, { reject: false, stdin: 'ignore' })), {
    exitCode: 0,
    stdout: 'hello: ok\nsocket: Operation not permitted',
  })
  t.match(sandbox.journal().slice(-2), [{ event: 'runtime-calls' }, { event: 'unverified', message: /CAP_SYS_PTRACE/ }])
})
