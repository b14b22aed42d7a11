/** A policy's life: merge, rename, rm, edit, lint, overlay, minimize. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { execa } from 'execa'
import { test } from 'tap'
import { encodePolicy } from '../../src/policy/document.ts'
import { until } from '../lib/events.ts'
import { policy, run } from '../lib/policies.ts'
import { isWaitedFor } from '../lib/processes.ts'
import { namesOf, OCI_SANDBOX, Sandbox, TRACER } from '../lib/sandbox.ts'

test('policy merge: what any of them allows, whatever the order, and what was there', async (t) => {
  const sandbox = await Sandbox.create(t)
  sandbox.writePolicy(encodePolicy(policy(['read'], { name: 'a' })), 'a')
  sandbox.writePolicy(encodePolicy(policy(['write'], { name: 'b' })), 'b')
  t.match(await sandbox.cli('policy', 'merge', 'a', 'b', '--name', 'ab'), { exitCode: 0, stdout: '', stderr: '' })
  t.match(await sandbox.policy('ab'), { name: 'ab' })
  t.same(namesOf(await sandbox.policy('ab')), ['read', 'write'])
  sandbox.writePolicy(encodePolicy(policy(['pause'], { name: 'c' })), 'c')
  await sandbox.cli('policy', 'merge', sandbox.policyPath('b'), 'a', '--name', 'c')
  t.same(namesOf(await sandbox.policy('c')), ['pause', 'read', 'write'])
  t.match(await sandbox.cli('policy', 'merge', 'a'), { exitCode: 2, stderr: /--name NAME/ })
  t.match(await sandbox.cli('policy', 'merge', 'a', 'absent', '--name', 'd'), {
    exitCode: 1,
    stderr: /POLICY_NOT_FOUND/,
  })
  t.notOk(existsSync(sandbox.policyPath('d')))
})

test('policy rename and rm', async (t) => {
  const sandbox = await Sandbox.create(t)
  for (const name of ['a', 'b']) sandbox.writePolicy(encodePolicy(policy(['read'], { name })), name)
  t.match(await sandbox.cli('policy', 'rename', 'a', 'b'), { exitCode: 1, stderr: /there is a policy b already/ })
  t.match(await sandbox.cli('policy', 'rename', 'a', 'c'), { exitCode: 0, stderr: '' })
  t.match(await sandbox.policy('c'), { name: 'c' })
  t.same(readdirSync(join(sandbox.store, 'policies')).sort(), ['b', 'c'])
  t.match(await sandbox.cli('policy', 'rename', 'a', 'd'), { exitCode: 1, stderr: /POLICY_NOT_FOUND/ })
  t.match(await sandbox.cli('policy', 'rename', 'c', '../d'), { exitCode: 2, stderr: /is no policy's name/ })
  t.match(await sandbox.cli('policy', 'rm', 'b', 'c'), { exitCode: 0, stdout: /^removed .*\/b\nremoved .*\/c$/ })
  t.same(readdirSync(join(sandbox.store, 'policies')), [])
  t.match(await sandbox.cli('policy', 'rm', 'b'), { exitCode: 1, stderr: /POLICY_NOT_FOUND/ })
  t.match(await sandbox.cli('policy', 'rm', './b'), { exitCode: 2, stderr: /expected the name of a policy/ })
})

test('rename and rm wait for who changes the policy', async (t) => {
  const sandbox = await Sandbox.create(t)
  const write = (calls: string[]) => sandbox.writePolicy(encodePolicy(policy(calls, { name: 'a' })), 'a')
  const lock = join(sandbox.store, 'policies/a/lock')
  const holding = async (command: string[], work: () => void) => {
    const holder = spawn(TRACER, ['lock', lock], { stdio: ['pipe', 'pipe', 'inherit'] })
    await once(holder.stdout, 'data')
    const done = sandbox.cli(...command)
    await until('it waits', () => isWaitedFor(lock))
    work()
    holder.stdin.end()
    return await done
  }
  write(['read'])
  t.match(await holding(['policy', 'rename', 'a', 'b'], () => write(['read', 'write'])), { exitCode: 0, stderr: '' })
  t.same(namesOf(await sandbox.policy('b')), ['read', 'write'], 'what was merged meanwhile is there')
  write(['read'])
  t.match(await holding(['policy', 'rm', 'a'], () => t.ok(existsSync(sandbox.policyPath('a')))), { exitCode: 0 })
  t.same(readdirSync(join(sandbox.store, 'policies')), ['b'])
})

test('rename and rm while a container is being learned: its run goes to the new name; rm refuses', async (t) => {
  const sandbox = await Sandbox.create(t)
  await sandbox.run({ mode: 'learn', args: ['/fixtures/act', 'hello'] })
  const bundle = sandbox.bundle({ mode: 'learn', args: ['/fixtures/act', 'wait', 'socket'] })
  const container = spawn('runc', sandbox.runcArgs('run', '--bundle', bundle, sandbox.newId()), {
    stdio: ['pipe', 'pipe', 'ignore'],
  })
  const ended = once(container, 'close')
  let said = ''
  container.stdout.on('data', (chunk) => {
    said += chunk
  })
  await until('the container runs', () => said.includes('ready'))
  t.match(await sandbox.cli('policy', 'rm', 'test'), {
    exitCode: 1,
    stderr: /a container is being learned into it \(run .*--force/,
  })
  t.match(await sandbox.cli('policy', 'rename', 'test', 'new'), { exitCode: 0, stderr: '' })
  container.stdin.end()
  await ended
  const renamed = await sandbox.policy('new')
  t.equal(renamed.runs.length, 2)
  t.ok(namesOf(renamed).includes('socket'))
  t.match(await sandbox.cli('policy', 'rm', 'new', '--force'), { exitCode: 0 })
})

test('a policy that was changed is compiled at once; what then cannot be enforced is said', async (t) => {
  const sandbox = await Sandbox.create(t)
  const cache = join(sandbox.store, 'cache')
  const filters = () => (existsSync(cache) ? readdirSync(cache).filter((name) => name.endsWith('.bpf')) : [])
  const write = (name: string, calls: Parameters<typeof policy>[0]) =>
    sandbox.writePolicy(encodePolicy(policy(calls, { name })), name)
  write('a', ['read'])
  write('b', ['write'])
  t.match(await sandbox.cli('policy', 'merge', 'a', 'b', '--name', 'ab'), { exitCode: 0, stderr: '' })
  t.equal(filters().length, 1)
  // The hook finds it there: nothing comes to the cache.
  t.match(await sandbox.cli('compile', 'ab', '-o', join(sandbox.directory, 'ab.bpf')), { exitCode: 0 })
  t.equal(filters().length, 1)
  write('empty', [])
  t.match(await sandbox.cli('policy', 'edit', 'empty', '--comment', 'later'), { exitCode: 0, stderr: '' })
  const values = (from: number) =>
    Array.from({ length: 30_000 }, (_, at) => [{ index: 1 as const, op: '==' as const, value: 2 * (at + from) }])
  write('much', [{ name: 'ioctl', rules: values(0) }])
  t.match(await sandbox.cli('policy', 'merge', 'a', 'much', '--name', 'more'), {
    exitCode: 0,
    stderr: /^oci-sandbox: more cannot be enforced as it is now: policy more is too large for the kernel/,
  })
  t.equal(filters().length, 1)
})

/** policy edit with an editor that is a shell command. */
async function edit(sandbox: Sandbox, editor: string) {
  return await execa(OCI_SANDBOX, ['--config', sandbox.config, 'policy', 'edit', 'web'], {
    env: { EDITOR: editor, VISUAL: '' },
    reject: false,
  })
}

test('policy edit: a change is taken, a mistake is not', async (t) => {
  const sandbox = await Sandbox.create(t)
  const original = encodePolicy(policy(['read', 'write'], { name: 'web' }))
  sandbox.writePolicy(original, 'web')
  t.match(await edit(sandbox, 'true'), { exitCode: 0, stdout: 'nothing was changed' })
  t.match(await edit(sandbox, 'sed -i \'s/"write"/"pause"/\''), { exitCode: 0, stderr: '' })
  t.same(namesOf(await sandbox.policy('web')), ['pause', 'read'])
  const changed = readFileSync(sandbox.policyPath('web'), 'utf8')
  for (const [editor, message] of [
    ["sed -i 's/read/frobnicate/'", /frobnicate is no syscall of x86_64 \(your text is in (.*)\) \[POLICY_INVALID\]/],
    ["sed -i '1d'", /\(your text is in .*\) \[POLICY_INVALID\]/],
    ['sed -i \'s/"web"/"other"/\'', /\/name: is "other"; rename it with policy rename/],
    ['false', /the editor false failed: it ended with exit code 1; nothing was changed/],
  ] as const) {
    const found = await edit(sandbox, editor)
    t.match(found, { exitCode: 1, stderr: message })
    t.equal(readFileSync(sandbox.policyPath('web'), 'utf8'), changed)
    const [, left] = /your text is in ([^)]*)\)/.exec(found.stderr) ?? []
    t.ok(existsSync(left as string), 'the text is kept')
    await execa('rm', ['-r', join(left as string, '..')])
  }
  // Somebody else changes the policy while the editor is open.
  const other = encodePolicy(policy(['brk'], { name: 'web' }))
  writeFileSync(join(sandbox.directory, 'other'), other)
  const raced = await edit(
    sandbox,
    `cp ${sandbox.directory}/other ${sandbox.policyPath('web')}; sed -i 's/pause/close/'`,
  )
  t.match(raced, { exitCode: 1, stderr: /was changed by somebody else meanwhile/ })
  t.equal(readFileSync(sandbox.policyPath('web'), 'utf8'), other)
  await execa('rm', ['-r', join(/your text is in ([^)]*)\)/.exec(raced.stderr)?.[1] as string, '..')])
})

test('policy lint: exit code 1 where something is dangerous', async (t) => {
  const sandbox = await Sandbox.create(t)
  sandbox.writePolicy(encodePolicy(policy(['read', 'ptrace'], { name: 'web' })), 'web')
  const found = await sandbox.cli('policy', 'lint', 'web')
  t.match(found, { exitCode: 1, stdout: /^dangerous +ptrace \(x86_64\) +controls other processes/ })
  t.match(JSON.parse((await sandbox.cli('policy', 'lint', 'web', '--json')).stdout)[0], { kind: 'dangerous' })
  await sandbox.run({ mode: 'learn', args: ['/fixtures/act', 'hello'] })
  t.match(await sandbox.cli('policy', 'lint', 'test'), { exitCode: 0, stdout: /^narrow/ })
})

test('policy overlay makes a policy of a learned one, again and again', async (t) => {
  const sandbox = await Sandbox.create(t)
  sandbox.writePolicy(
    encodePolicy(policy(['read', 'write', 'ptrace'], { name: 'web', runs: [run('a')], complete: true })),
    'web',
  )
  const file = (name: string, value: unknown) => {
    writeFileSync(join(sandbox.directory, name), JSON.stringify(value))
    return join(sandbox.directory, name)
  }
  file('profile', {
    defaultAction: 'SCMP_ACT_ERRNO',
    syscalls: [{ names: ['read', 'write'], action: 'SCMP_ACT_ALLOW' }],
  })
  const overlay = file('overlay', {
    intersect: ['profile'],
    deny: ['write'],
    allow: [{ name: 'sync', reason: 'backups' }],
  })
  const made = await sandbox.cli('policy', 'overlay', 'web', overlay, '--name', 'web-hard')
  t.match(made, {
    exitCode: 0,
    stdout: /^ptrace .*not allowed by the other one\nwrite .*denied\nsync .*allowed: backups$/,
  })
  const hard = await sandbox.policy('web-hard')
  t.same(namesOf(hard), ['read', 'sync'])
  t.match(hard, { name: 'web-hard', complete: true, imports: [{ format: 'overlay', source: 'overlay' }] })
  file('overlay', { deny: ['ptrace'] })
  t.match(await sandbox.cli('policy', 'overlay', 'web', overlay, '--name', 'web-hard'), { exitCode: 0 })
  t.same(namesOf(await sandbox.policy('web-hard')), ['read', 'write'], 'it is replaced')
  t.match(await sandbox.cli('policy', 'overlay', 'web', overlay, '--name', 'web'), {
    exitCode: 1,
    stderr: /that no overlay made/,
  })
  file('overlay', { deny: ['frobnicate'] })
  t.match(await sandbox.cli('policy', 'overlay', 'web', overlay, '--name', 'x'), {
    exitCode: 1,
    stderr: /is no overlay: \/: frobnicate is no call of x86_64 \[IMPORT_INVALID\]/,
  })
  file('overlay', { allow: [{ name: 'sync', reason: 'x', rules: [[{ index: 9, op: '==', value: 1 }]] }] })
  t.match(await sandbox.cli('policy', 'overlay', 'web', overlay, '--name', 'x'), {
    exitCode: 1,
    stderr: /\/allow\/0\/rules: .*IMPORT_INVALID/,
  })
  t.notOk(existsSync(sandbox.policyPath('x')))
})

test('policy minimize takes out what no run made', async (t) => {
  const sandbox = await Sandbox.create(t)
  await sandbox.run({ mode: 'learn', args: ['/fixtures/act', 'hello'] })
  const learned = await sandbox.policy()
  const profile = join(sandbox.directory, 'profile')
  writeFileSync(
    profile,
    '{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{"names":["mount"],"action":"SCMP_ACT_ALLOW"}]}',
  )
  await sandbox.cli('import', '--format', 'oci', profile, '--name', 'test')
  t.ok(namesOf(await sandbox.policy()).includes('mount'))
  const dry = await sandbox.cli('policy', 'minimize', 'test', '--dry-run')
  t.match(dry.stdout, /^mount \(x86_64\)$/m)
  t.ok(namesOf(await sandbox.policy()).includes('mount'))
  t.match(await sandbox.cli('policy', 'minimize', 'test'), { exitCode: 0, stdout: dry.stdout })
  const expected = (learned.architectures.x86_64?.syscalls ?? []).filter(({ via }) => via === undefined)
  t.same((await sandbox.policy()).architectures.x86_64?.syscalls, expected)
  t.match(await sandbox.run({ mode: 'enforce', args: ['/fixtures/act', 'hello'] }), {
    exitCode: 0,
    stdout: 'hello: ok',
  })
  sandbox.writePolicy(encodePolicy(policy(['read'], { name: 'p' })), 'p')
  t.match(await sandbox.cli('policy', 'minimize', 'p'), { exitCode: 1, stderr: /has no complete run/ })
})
