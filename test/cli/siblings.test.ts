/** Siblings of what was learned: in the policy, left out, shown, removed. */
import { test } from 'tap'
import { namesOf, Sandbox } from '../lib/sandbox.ts'

test('a learned policy has siblings, which are enforced; forks stay refused', async (t) => {
  const sandbox = await Sandbox.create(t)
  t.match(await sandbox.run({ mode: 'learn', args: ['/fixtures/act', 'hello'] }), { exitCode: 0 })
  const learned = await sandbox.policy()
  const openat2 = learned.architectures.x86_64?.syscalls.find(({ name }) => name === 'openat2')
  t.same(openat2, { name: 'openat2', via: 'openat' })
  t.notOk(namesOf(learned).some((name) => name.startsWith('clone') || name.endsWith('fork')))
  t.match((await sandbox.cli('policy', 'show', 'test')).stdout, /\n {2}and instead of them:\n {2}.*openat2/)
  t.match(
    (await sandbox.cli('policy', 'siblings', 'test')).stdout,
    /^ABI +CALL +INSTEAD OF\n(.*\n)*x86_64 +openat2 +openat\n/,
  )
  const enforced = await sandbox.run({ mode: 'enforce', args: ['/fixtures/act', 'hello', 'fork'] })
  t.equal(enforced.stdout, 'hello: ok\nfork: Operation not permitted')

  t.match(await sandbox.cli('policy', 'siblings', 'test', '--remove'), { exitCode: 0, stderr: '' })
  const removed = await sandbox.policy()
  t.notOk(removed.architectures.x86_64?.syscalls.some(({ via }) => via !== undefined))
  await sandbox.cli('policy', 'siblings', 'test', '--add')
  t.same(await sandbox.policy(), learned)
  t.match(await sandbox.cli('policy', 'siblings', 'test', '--add', '--remove'), { exitCode: 2 })
})

test('"siblings": false in the host configuration leaves them out', async (t) => {
  const sandbox = await Sandbox.create(t, { siblings: false })
  t.match(await sandbox.run({ mode: 'learn', args: ['/fixtures/act', 'hello'] }), { exitCode: 0 })
  const learned = await sandbox.policy()
  t.ok(namesOf(learned).includes('openat'))
  t.notOk(learned.architectures.x86_64?.syscalls.some(({ via }) => via !== undefined))
})
