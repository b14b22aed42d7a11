import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { encodePolicy } from '../../src/policy/document.ts'
import { policy, run } from '../lib/policies.ts'
import { Sandbox } from '../lib/sandbox.ts'

test('policy translate makes a policy of its own, that compiles and holds, and can be made again', async (t) => {
  const sandbox = await Sandbox.create(t)
  const text = encodePolicy(policy(['read', 'open', 'uselib'], { name: 'web', runs: [run('a')], complete: true }))
  sandbox.writePolicy(text, 'web')
  const translate = (...args: string[]) => sandbox.cli('policy', 'translate', 'web', ...args)
  t.match(await translate('--to', 'aarch64', '--dry-run'), {
    exitCode: 0,
    stdout:
      'made as other calls on aarch64: open -> openat, openat2;\nno call of aarch64 does the same (left out): uselib',
    stderr: '',
  })
  t.match(await sandbox.cli('policy', 'show', 'web-aarch64'), { exitCode: 1, stderr: /POLICY_NOT_FOUND/ })
  t.match(await translate('--to', 'aarch64'), { exitCode: 0 })
  const made = await sandbox.policy('web-aarch64')
  t.same(Object.keys(made.architectures), ['aarch64'])
  t.match(made, { complete: false, runs: [], imports: [{ format: 'translation', source: 'web' }] })
  t.match(made.imports?.[0]?.notes, [/open -> openat/, /uselib/])
  t.equal(readFileSync(sandbox.policyPath('web'), 'utf8'), text, 'the other one stays')
  t.match(await sandbox.cli('policy', 'verify', 'web-aarch64'), { exitCode: 0 })
  t.match(await sandbox.cli('explain', 'web-aarch64', 'openat', '--arch', 'aarch64'), {
    stdout: /^aarch64 openat.*: allowed/,
  })
  const bpf = join(sandbox.directory, 'bpf')
  t.match(await sandbox.cli('compile', 'web-aarch64', '-o', bpf), { exitCode: 0 })
  t.match(await sandbox.cli('policy', 'diff', 'web-aarch64', bpf), { exitCode: 0 })
  t.match(await translate('--to', 'aarch64'), { exitCode: 0 }, 'again')
  t.equal((await sandbox.policy('web-aarch64')).imports?.length, 1)
  t.match(await translate('--to', 'x86', '--name', 'small'), { exitCode: 0, stdout: /added, .*: set_thread_area/ })
  t.match(Object.keys((await sandbox.policy('small')).architectures), ['x86'])
})

test('what cannot be translated is said', async (t) => {
  const sandbox = await Sandbox.create(t)
  sandbox.writePolicy(encodePolicy(policy(['read'], { name: 'web' })), 'web')
  sandbox.writePolicy(encodePolicy(policy([], { name: 'none', architectures: {} })), 'none')
  const cases: [args: string[], exitCode: number, message: RegExp][] = [
    [['web'], 2, /say for which architecture with --to ARCH/],
    [['web', '--to', 'vax'], 2, /--to vax: expected aarch64, arm, x32, x86, x86_64/],
    [['web', '--to', 'arm', '--from', 'x86'], 2, /--from x86: policy web has x86_64/],
    [['web', '--to', 'x86_64'], 2, /policy web is for x86_64 already/],
    [['web', '--to', 'arm', '--name', '../x'], 2, /is no policy's name/],
    [['web', '--to', 'arm', '--name', 'none'], 1, /there is a policy none already that no translation made/],
    [['none', '--to', 'arm'], 1, /policy none allows nothing/],
    [['absent', '--to', 'arm'], 1, /POLICY_NOT_FOUND/],
  ]
  for (const [args, exitCode, stderr] of cases)
    t.match(await sandbox.cli('policy', 'translate', ...args), { exitCode, stderr }, args.join(' '))
  const file = join(sandbox.directory, 'file.json')
  writeFileSync(file, encodePolicy(policy(['read'], { name: 'web' })))
  t.match(await sandbox.cli('policy', 'translate', file, '--to', 'aarch64'), { exitCode: 0 })
})
