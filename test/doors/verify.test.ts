/** What is loaded is read back in every way in, and a container where that is not what was meant ends before its program has done anything. */
import { linkSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { execa } from 'execa'
import { type Test, test } from 'tap'
import { CGROUP2 } from '../engines/crun.ts'
import { needs } from '../lib/needs.ts'
import { annotated, container, podman } from '../lib/podman.ts'
import { OCI_SANDBOX, type Result, resultOf, Sandbox, SHIM } from '../lib/sandbox.ts'
import { ran, ranUnfiltered, witness } from './witness.ts'

const ROOT = join(import.meta.dirname, '../..')
const KILLED = 128 + 9

function ended(t: Test, sandbox: Sandbox, name: string, { exitCode }: Result, reason: RegExp): void {
  t.equal(exitCode, KILLED, name)
  t.notOk(ran(sandbox, name) || ranUnfiltered(sandbox, name), `${name}: the program has done nothing`)
  t.match(
    sandbox.journal().filter(({ event }) => event === 'killed'),
    [{ message: reason }],
    name,
  )
  // What comes next is about another container.
  rmSync(join(sandbox.store, 'journal.ndjson'))
}

/** A runtime that is the real one, after it has changed config.json with sed. */
function changing(sandbox: Sandbox, runtime: string, expression: string): string {
  const path = join(sandbox.directory, 'changing', runtime)
  mkdirSync(dirname(path), { recursive: true })
  const script = `#!/bin/sh
bundle= previous=
for word; do
  case $previous in --bundle) bundle=$word ;; esac
  previous=$word
done
[ -z "$bundle" ] || sed -i -E '${expression}' "$bundle/config.json" || exit 1
exec ${runtime} "$@"
`
  writeFileSync(path, script, { mode: 0o755 })
  return path
}

/** Learns, and enforces with a runtime that loads what it likes. */
async function enforceWith(t: Test, runtime: 'runc' | 'crun', method: string, expression: string) {
  const sandbox = await Sandbox.create(t)
  const prefix = runtime === 'crun' ? CGROUP2 : []
  const globals = runtime === 'crun' ? ['--cgroup-manager=disabled'] : []
  const run = async (mode: 'learn' | 'enforce', args: readonly string[]) => {
    const bundle = sandbox.bundle({ hooks: {}, writable: true, mode, args: ['/fixtures/act', ...args] })
    const line = [
      '--config',
      sandbox.config,
      ...globals,
      ...sandbox.runcArgs('run', '--bundle', bundle, sandbox.newId()),
    ]
    const [program = '', ...rest] = [...prefix, SHIM, ...line]
    return resultOf(await execa(program, rest, { reject: false, stdin: 'ignore' }))
  }
  const configure = (path: string) => {
    const settings = { store: sandbox.store, runtime: path, enforce: { method } }
    writeFileSync(sandbox.config, JSON.stringify(settings))
  }
  configure(runtime)
  t.match(await run('learn', ['note', '/tmp/learned.ran']), { exitCode: 0 })
  t.match(await run('enforce', witness('control')), { exitCode: 0 })
  t.ok(ran(sandbox, 'control') && !ranUnfiltered(sandbox, 'control'), 'the runtime as it is')
  configure(changing(sandbox, runtime, expression))
  return { sandbox, result: await run('enforce', witness('changed')) }
}

for (const runtime of ['runc', 'crun'] as const) {
  test(`bundle, ${runtime}: a profile that allows more than the policy`, needs(runtime), async (t) => {
    const cases: [what: string, expression: string, reason: RegExp][] = [
      [
        'everything',
        's/"SCMP_ACT_ERRNO", ?"defaultErrnoRet": ?1/"SCMP_ACT_ALLOW"/',
        /allow more than the policy: call \d+ of architecture 0xc000003e/,
      ],
      ['one call', 's/"openat"/"openat", "mkdir"/', /allow more than the policy: call 83 of architecture 0xc000003e/],
      ['no filter', 's/"seccomp"/"seccomp-of-later"/', /the runtime has loaded no filter/],
    ]
    for (const [what, expression, reason] of cases) {
      const { sandbox, result } = await enforceWith(t, runtime, 'bundle', expression)
      t.comment(what)
      ended(t, sandbox, 'changed', result, reason)
    }
  })
}

test("crun's annotation: another program, or none", needs('crun'), async (t) => {
  const cases: [expression: string, reason: RegExp][] = [
    // { BPF_RET | BPF_K, SECCOMP_RET_ALLOW }
    ['s|("run.oci.seccomp_bpf_data": ?")[^"]*|\\1BgAAAAAA/38=|', /are not those that were meant/],
    ['s|run.oci.seccomp_bpf_data|run.oci.seccomp_bpf_later|', /the runtime has loaded no filter, or not all/],
  ]
  for (const [expression, reason] of cases) {
    const { sandbox, result } = await enforceWith(t, 'crun', 'crun-bpf', expression)
    ended(t, sandbox, 'changed', result, reason)
  }
})

/** The programs, with a helper that finds other filters at the start of the program than it has installed. */
async function doubting(t: Test): Promise<{ program: string; shim: string }> {
  // Beside dist/: a hard link, as the program has 110 MB.
  mkdirSync(join(ROOT, 'build'), { recursive: true })
  const directory = mkdtempSync(join(ROOT, 'build/doubting-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  const program = join(directory, 'oci-sandbox')
  const shim = join(directory, 'oci-sandbox-runtime')
  linkSync(OCI_SANDBOX, program)
  linkSync(SHIM, shim)
  const doubt = join(directory, 'doubt.o')
  await execa('gcc', ['-c', '-o', doubt, join(ROOT, 'test/fixtures/doubt.c')])
  const out = `OUT=${directory}/oci-sandbox-tracer`
  await execa('make', [
    '-s',
    '-C',
    join(ROOT, 'tracer'),
    out,
    `OBJ=${directory}/objects`,
    `LDFLAGS=-static -Wl,--wrap=filters_match ${doubt}`,
  ])
  return { program, shim }
}

test('at exec: by the hook, by the shim, by precreate, for a program that joins', needs('podman'), async (t) => {
  const { program, shim } = await doubting(t)
  const sandbox = await Sandbox.create(t)
  t.match(
    await sandbox.run({
      mode: 'learn',
      writable: true,
      args: ['/fixtures/act', 'note', '/tmp/learned.ran', 'sleep', '0'],
    }),
    { exitCode: 0 },
  )
  const reason = /the filters at the start of the program are not those that were installed/
  const bundle = (name: string, hooks: object) =>
    sandbox.bundle({ hooks, mode: 'enforce', writable: true, args: ['/fixtures/act', ...witness(name)] })
  const execute = async (file: string, ...args: string[]) =>
    resultOf(await execa(file, args, { reject: false, stdin: 'ignore' }))

  const hook = { ...sandbox.hook('enforce'), path: program }
  const hooked = bundle('hooked', { createRuntime: [hook] })
  const byHook = await execute('runc', ...sandbox.runcArgs('run', '--bundle', hooked, sandbox.newId()))
  ended(t, sandbox, 'hooked', byHook, reason)

  const own = ['--config', sandbox.config]
  const shimmed = ['run', '--bundle', bundle('shimmed', {}), sandbox.newId()]
  ended(t, sandbox, 'shimmed', await execute(shim, ...own, ...sandbox.runcArgs(...shimmed)), reason)

  const manifest = {
    version: '1.0.0',
    hook: { path: program, args: ['oci-sandbox', 'hook', 'precreate', ...own] },
    when: { always: true },
    stages: ['precreate'],
  }
  const hooks = join(sandbox.directory, 'hooks.d')
  mkdirSync(hooks)
  writeFileSync(join(hooks, 'precreate.json'), JSON.stringify(manifest))
  const globals = ['--cgroup-manager', 'cgroupfs', '--hooks-dir', hooks]
  const line = container(sandbox, annotated('enforce'), ['/fixtures/act', ...witness('precreated')].join(' '))
  ended(t, sandbox, 'precreated', await podman({ sandbox, globals }, 'run', '--rm', ...line), reason)

  // The container is started by the shim as it is, and joined by the other one.
  const id = sandbox.newId()
  const joined = sandbox.bundle({
    hooks: {},
    mode: 'enforce',
    writable: true,
    args: ['/fixtures/act', 'sleep', '1000'],
  })
  t.equal(await sandbox.shimInto('/dev/null', joined, 'create', id), 0)
  t.teardown(() => sandbox.shim('delete', '--force', id))
  t.match(await sandbox.shim('start', id), { exitCode: 0 })
  const entered = await execute(shim, ...own, ...sandbox.runcArgs('exec', id, '/fixtures/act', ...witness('joined')))
  ended(t, sandbox, 'joined', entered, reason)
  t.match(await sandbox.shim('exec', id, '/fixtures/act', ...witness('control')), { exitCode: 0 })
  t.ok(ran(sandbox, 'control'), 'with the helper as it is')
})
