/** Ranges of arguments from a real run to a real filter. */
import { test } from 'tap'
import { Sandbox } from '../lib/sandbox.ts'

/** asm/unistd_64.h: setpriority(PRIO_PROCESS, 0, nice) and kill(0, signal). */
const nice = (value: number | string) => ['call', `141,0,0,${value}`]

/** What the filter refuses is EPERM; a nice value that the container may not have is EACCES (setpriority(2)). */
const REFUSED = 'Operation not permitted'

test('nice values: those between the least and the greatest that were learned pass, however an int fills its register', async (t) => {
  const sandbox = await Sandbox.create(t)
  const learn = ['/fixtures/act', ...nice(-2), ...nice(3)]
  t.match(await sandbox.run({ mode: 'learn', args: learn, annotations: { 'io.sandbox.detail': 'args' } }), {
    exitCode: 0,
  })
  const learned = (await sandbox.policy()).architectures.x86_64?.syscalls.find(({ name }) => name === 'setpriority')
  t.same(learned?.learned, {
    arguments: [0, 2],
    values: [
      [0, 3],
      [0, 0xffff_fffe],
    ],
  })
  const inside = ['3', '0', '-1', '0xffffffff', '0xfffffffe', '0x700000001']
  const outside = ['4', '-3', '0xfffffffd', '0x7fffffff', '0x80000000']
  const args = ['/fixtures/act', ...[...inside, ...outside].flatMap(nice)]
  const { stdout, exitCode } = await sandbox.run({ mode: 'enforce', args })
  t.equal(exitCode, 0)
  const answers = Object.fromEntries(stdout.split('\n').map((line) => line.slice('141,0,0,'.length).split(': ')))
  for (const value of inside) t.not(answers[value], REFUSED, value)
  for (const value of outside) t.equal(answers[value], REFUSED, value)
  t.match(
    (await sandbox.cli('policy', 'show', 'test', '--arguments')).stdout,
    /widened: prio: 2 values of a range were seen/,
  )
  const explained = await sandbox.cli('explain', 'test', 'setpriority', '0', '0', '2')
  t.match(explained.stdout, /allowed where argument 0 .* and argument 2 & 0xffffffff is 0 to 3/)
  t.match(await sandbox.cli('simulate', 'test', 'setpriority', '0', '0', '4'), { stdout: /^ERRNO\(1\)/ })
  t.match(await sandbox.cli('policy', 'verify', 'test'), { exitCode: 0 })
})
