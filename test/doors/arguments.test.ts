/** Arguments and ranges where the runtime itself loads the filter: the profile holds what was learned of them, not the names alone. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { execa } from 'execa'
import { test } from 'tap'
import { resultOf, Sandbox, SHIM } from '../lib/sandbox.ts'

/** asm/unistd_64.h: setpriority(PRIO_PROCESS, 0, nice). */
const nice = (value: number) => ['call', `141,0,0,${value}`]

test('runc, bundle: learned arguments hold, ranges as blocks of masked comparisons', async (t) => {
  const sandbox = await Sandbox.create(t, { runtime: 'runc', enforce: { method: 'bundle' } })
  const globals = ['--config', sandbox.config, '--root', join(sandbox.directory, 'state')]
  const run = async (mode: 'learn' | 'enforce', ...args: string[]) => {
    const annotations = { 'io.sandbox.detail': 'args' }
    const bundle = sandbox.bundle({ hooks: {}, mode, annotations, args: ['/fixtures/act', ...args] })
    return resultOf(
      await execa(SHIM, [...globals, 'run', '--bundle', bundle, sandbox.newId()], { reject: false, stdin: 'ignore' }),
    )
  }
  t.match(await run('learn', ...nice(3), ...nice(9), 'unix'), { exitCode: 0 })
  const { stdout, exitCode, stderr } = await run('enforce', ...[2, 3, 4, 7, 8, 9, 10].flatMap(nice), 'unix', 'socket')
  t.equal(exitCode, 0, stderr)
  t.same(stdout.split('\n'), [
    '141,0,0,2: Operation not permitted',
    ...[3, 4, 7, 8, 9].map((value) => `141,0,0,${value}: ok`),
    '141,0,0,10: Operation not permitted',
    'unix: ok',
    'socket: Operation not permitted',
  ])
  t.same(sandbox.kept(), [])
})

test('an exported profile holds what was learned of arguments', async (t) => {
  const sandbox = await Sandbox.create(t)
  await sandbox.run({
    mode: 'learn',
    args: ['/fixtures/act', ...nice(3), ...nice(9), 'unix'],
    annotations: { 'io.sandbox.detail': 'args' },
  })
  const file = join(sandbox.directory, 'profile.json')
  t.match(await sandbox.cli('policy', 'export', 'test', '--no-runtime-calls', '-o', file), { exitCode: 0 })
  const { syscalls } = JSON.parse(readFileSync(file, 'utf8'))
  const entries = syscalls.filter(({ names }: { names: string[] }) => names.includes('setpriority'))
  t.equal(entries.length, 3, '3; 4 to 7; 8 to 9')
  t.match(await sandbox.cli('policy', 'diff', 'test', file), { exitCode: 0, stdout: /mean the same/ })
})
