/** policy edit without an editor, policy migrate, and who shows comments. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { encodePolicy } from '../../src/policy/document.ts'
import { policy, run } from '../lib/policies.ts'
import { Sandbox } from '../lib/sandbox.ts'

const VERSION_1 = readFileSync(join(import.meta.dirname, '../policy/versions/1.json'), 'utf8')
const VERSION_2 = readFileSync(join(import.meta.dirname, '../policy/versions/1.now.json'), 'utf8')

test('comments are added and removed, and shown where people look', async (t) => {
  const sandbox = await Sandbox.create(t)
  const web = policy(['read', 'ptrace'], { name: 'web', runs: [run('a')], complete: true })
  sandbox.writePolicy(encodePolicy(web), 'web')
  const edit = (...args: string[]) => sandbox.cli('policy', 'edit', 'web', ...args)
  t.match(await edit('--comment', 'of the shop', '--comment', 'ask ops'), { exitCode: 0, stdout: '', stderr: '' })
  t.match(await edit('--call', 'ptrace', '--comment', 'a debugger'), { exitCode: 0, stderr: '' })
  t.same((await sandbox.policy('web')).comments, ['ask ops', 'of the shop'])
  t.match((await sandbox.cli('policy', 'show', 'web')).stdout, /complete\n {2}# ask ops\n {2}# of the shop\n/)
  t.match((await sandbox.cli('policy', 'show', 'web')).stdout, /\n {2}ptrace: # a debugger\n/)
  t.match(
    (await sandbox.cli('explain', 'web', 'ptrace')).stdout,
    /comment: a debugger\n.*comment on the policy: ask ops/s,
  )
  t.match((await sandbox.cli('explain', 'web', 'bpf')).stdout, /comment on the policy: of the shop/)
  t.match((await sandbox.cli('policy', 'lint', 'web')).stdout, /^# ask ops\n.*ptrace.*\(comment: a debugger\)/s)
  t.match(JSON.parse((await sandbox.cli('policy', 'lint', 'web', '--json')).stdout)[0], { comments: ['a debugger'] })
  await sandbox.cli('policy', 'merge', 'web', '--name', 'other')
  t.same((await sandbox.policy('other')).comments, ['ask ops', 'of the shop'])
  await sandbox.cli('policy', 'rename', 'other', 'renamed')
  t.same((await sandbox.policy('renamed')).comments, ['ask ops', 'of the shop'])
  t.match(await edit('--remove-comment', 'ask ops'), { exitCode: 0 })
  t.match(await edit('--call', 'ptrace', '--remove-comment', 'a debugger'), { exitCode: 0 })
  t.same((await sandbox.policy('web')).comments, ['of the shop'])
  t.same((await sandbox.policy('web')).architectures, web.architectures)
})

test('what cannot be done is said, and nothing is changed', async (t) => {
  const sandbox = await Sandbox.create(t)
  const text = encodePolicy(policy(['read'], { name: 'web' }))
  sandbox.writePolicy(text, 'web')
  const cases: [args: string[], exitCode: number, message: RegExp][] = [
    [['--call', 'read'], 2, /say how with --comment TEXT/],
    [['--comment', 'x', '--arch', 'x86'], 2, /--arch goes with --call/],
    [['--comment', 'x', '--call', 'write'], 2, /policy web does not allow write; policy show lists what it allows/],
    [['--comment', 'x', '--call', 'read', '--arch', 'x86'], 2, /does not allow read for x86/],
    [['--remove-comment', 'x'], 2, /policy web has no such comment: x/],
    [['--comment', 'a\nb'], 1, /\/comments\/0: must be one line of text.*POLICY_INVALID/],
    [['--comment', ''], 1, /\/comments\/0: .*POLICY_INVALID/],
    [['--widening', 'wide'], 2, /--widening wide: expected strict, balanced, loose/],
  ]
  for (const [args, exitCode, stderr] of cases) {
    t.match(await sandbox.cli('policy', 'edit', 'web', ...args), { exitCode, stderr }, args.join(' '))
    t.equal(readFileSync(sandbox.policyPath('web'), 'utf8'), text, args.join(' '))
  }
  t.match(await sandbox.cli('policy', 'edit', 'web', '--widening', 'strict'), { exitCode: 0, stderr: '' })
  t.match(await sandbox.cli('policy', 'edit', 'web', '--call', 'read', '--widening', 'loose'), { exitCode: 0 })
  t.match(await sandbox.policy('web'), {
    widening: 'strict',
    architectures: { x86_64: { syscalls: [{ name: 'read', widening: 'loose' }] } },
  })
})

test('policy migrate writes what older versions are now; reading does not', async (t) => {
  const sandbox = await Sandbox.create(t)
  sandbox.writePolicy(VERSION_1, 'web')
  sandbox.writePolicy(encodePolicy(policy(['read'], { name: 'new' })), 'new')
  t.match(await sandbox.cli('policy', 'show', 'web'), { exitCode: 0, stderr: '' })
  t.match(await sandbox.cli('policy', 'verify', 'web'), { exitCode: 0 })
  t.equal(readFileSync(sandbox.policyPath('web'), 'utf8'), VERSION_1)
  const dry = await sandbox.cli('policy', 'migrate', '--dry-run')
  t.match(dry, { exitCode: 0, stdout: 'new: is version 2\nweb: version 1 -> 2', stderr: '' })
  t.equal(readFileSync(sandbox.policyPath('web'), 'utf8'), VERSION_1)
  t.match(await sandbox.cli('policy', 'migrate', 'web'), { exitCode: 0, stdout: 'web: version 1 -> 2' })
  t.equal(readFileSync(sandbox.policyPath('web'), 'utf8'), VERSION_2)
  t.match(await sandbox.cli('policy', 'migrate'), { exitCode: 0, stdout: 'new: is version 2\nweb: is version 2' })
  t.match(await sandbox.cli('policy', 'migrate', 'absent'), { exitCode: 1, stderr: /POLICY_NOT_FOUND/ })
  sandbox.writePolicy(VERSION_2.replace('"version": 2', '"version": 3'), 'bad')
  t.match(await sandbox.cli('policy', 'migrate'), {
    exitCode: 1,
    stdout: 'new: is version 2\nweb: is version 2',
    stderr: /version 3 is newer than this program, which knows 1 to 2; update oci-sandbox on this host.*POLICY_INVALID/,
  })
})

test('a policy of an older version is learned into and enforced', async (t) => {
  const sandbox = await Sandbox.create(t)
  await sandbox.run({ mode: 'learn', args: ['/fixtures/act', 'hello'] })
  const learned = await sandbox.policy()
  const older = encodePolicy(learned).replace('"version": 2', '"version": 1')
  sandbox.writePolicy(older)
  t.match(await sandbox.run({ mode: 'enforce', args: ['/fixtures/act', 'hello'] }), { exitCode: 0, stderr: '' })
  t.equal(readFileSync(sandbox.policyPath(), 'utf8'), older)
  await sandbox.run({ mode: 'learn', args: ['/fixtures/act', 'hello'] })
  const after = await sandbox.policy()
  t.match(after, { version: 2, runs: [{}, {}] })
})
