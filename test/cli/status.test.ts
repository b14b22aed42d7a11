/** policy status, of policies that real runs made. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { Sandbox } from '../lib/sandbox.ts'

test('policy status follows the runs', async (t) => {
  const sandbox = await Sandbox.create(t)
  const learn = (...actions: string[]) => sandbox.run({ mode: 'learn', args: ['/fixtures/act', ...actions] })
  const status = async () => JSON.parse((await sandbox.cli('policy', 'status', 'test', '--json')).stdout)
  await learn('hello')
  t.match(await status(), { convergence: { runs: 1, chance: 1 }, lastNew: { runsSince: 0 } })
  await learn('hello')
  t.match(await status(), { convergence: { runs: 2, surprising: 0, chance: 0 }, alone: [], lastNew: { runsSince: 1 } })
  await learn('hello', 'socket')
  const third = await status()
  t.match(third, { convergence: { runs: 3, surprising: 1 }, lastNew: { runsSince: 0, calls: ['socket (x86_64)'] } })
  t.same(
    third.runs.map((run: { alone: number }) => run.alone),
    [0, 0, 1],
  )

  const { stdout } = await sandbox.cli('policy', 'status', 'test')
  t.match(
    stdout,
    /^policy test: complete, 3 runs, 3 complete\n\d+ calls learned or imported, \d+ that may be made instead/,
  )
  t.match(stdout, /\nlast new call: in the last run \(.*\)\n {2}socket \(x86_64\)\n/)
  t.match(stdout, /\nchance that the next run makes a new call: about 33 %, at most \d+ % \(1 of 3 runs made calls/)
  t.match(stdout, /\nnot seen:\n( {2}- .*\n)* {2}- every run ended with exit code 0/)
  t.match(stdout, /\nopen to x86_64 programs: \d+ of \d+ calls \(\d+ %\)\n/)
})

test('policy status --against a profile', async (t) => {
  const sandbox = await Sandbox.create(t)
  const file = (name: string, text: string) => {
    writeFileSync(join(sandbox.directory, name), text)
    return join(sandbox.directory, name)
  }
  await sandbox.run({ mode: 'learn', args: ['/fixtures/bare'] })
  const profile = file(
    'p',
    '{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{"names":["write","read"],"action":"SCMP_ACT_ALLOW"}]}',
  )
  const { stdout } = await sandbox.cli('policy', 'status', 'test', '--against', profile)
  t.match(
    stdout,
    /: 2 \(1 %\); only this policy allows 6\n {4}exit_group getcpu gettimeofday restart_syscall rt_sigreturn time\n/,
  )
  const own = await sandbox.cli('policy', 'status', 'test', '--against', sandbox.policyPath())
  t.match(own.stdout, /: 7 \(2 %\); only this policy allows 0\n/)
  t.match(await sandbox.cli('policy', 'status', 'test', '--against', file('q', '{}')), {
    exitCode: 1,
    stderr: /is neither a policy nor a seccomp profile: \/defaultAction.*\[IMPORT_INVALID\]$/,
  })
  t.match(await sandbox.cli('policy', 'status', 'test', '--against', '/nonexistent'), {
    exitCode: 1,
    stderr: /INPUT_UNREADABLE/,
  })
})
