/** oci-sandbox learn, report and top. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { execa } from 'execa'
import { test } from 'tap'
import { until } from '../lib/events.ts'
import { settled } from '../lib/processes.ts'
import { namesOf, OCI_SANDBOX, Sandbox } from '../lib/sandbox.ts'

/** So that later runs count what earlier ones have seen, too. */
const EVERY_CALL = { learn: { backend: 'ptrace-syscall' } }

/** A fixture on the host's own file system. */
const fixture = (sandbox: Sandbox, name: string) => join(sandbox.directory, 'rootfs/fixtures', name)

test('a command on the host is learned to the last call, and only it', async (t) => {
  const sandbox = await Sandbox.create(t)
  const { stdout, stderr, exitCode } = await sandbox.cli('learn', '--', fixture(sandbox, 'bare'))
  t.match({ stdout, exitCode }, { stdout: 'bare', exitCode: 0 })
  t.match(stderr, /^oci-sandbox: policy bare: run complete, 2 calls, 2 different, 2 new, 1 task$/)
  const policy = await sandbox.policy('bare')
  t.same(namesOf(policy), ['exit_group', 'getcpu', 'gettimeofday', 'restart_syscall', 'rt_sigreturn', 'time', 'write'])
  t.match(policy.runs, [{ complete: true, program: { path: fixture(sandbox, 'bare') }, exit: { code: 0 } }])
  t.equal(policy.runs[0]?.container, undefined)
  t.same(readdirSync(join(sandbox.store, 'policies/bare')).sort(), ['known', 'lock', 'policy.json', 'runs'])
})

test('exit code, signals, standard input and arguments are those of the command; -q says nothing', async (t) => {
  const sandbox = await Sandbox.create(t)
  const learn = (...args: string[]) => sandbox.cli('learn', '-q', '--name', 'x', '--', ...args)
  t.match(await learn('sh', '-c', 'exit 7'), { exitCode: 7, stdout: '', stderr: '' })
  t.match(await learn('sh', '-c', 'kill -9 $$'), { exitCode: 137 })
  t.match(await learn('printf', '%s|', 'a b', '--', '-q'), { stdout: 'a b|--|-q|', exitCode: 0 })
  const args = ['--config', sandbox.config, 'learn', '-q', '--name', 'x', '--', 'cat']
  t.equal((await execa(OCI_SANDBOX, args, { input: 'through' })).stdout, 'through')
  t.equal((await sandbox.policy('x')).runs.length, 4)
})

test('the program keeps nothing of ours: no descriptor, no ignored signal', async (t) => {
  const sandbox = await Sandbox.create(t)
  const signals = 'grep -E "SigIgn|SigBlk" /proc/self/status'
  // Whoever starts the tests may ignore signals, which is inherited.
  const { stdout: inherited } = await execa('sh', ['-c', signals])
  const { stdout } = await sandbox.cli('learn', '-q', '--', 'sh', '-c', `${signals}; ls /proc/self/fd | wc -l`)
  t.equal(stdout, `${inherited}\n4`)
})

test('on a terminal a line says how far it is, and goes away at the end', async (t) => {
  const sandbox = await Sandbox.create(t)
  const learn = (...options: string[]) => {
    const line = `${OCI_SANDBOX} --config ${sandbox.config} learn ${options.join(' ')} --name x -- ${fixture(sandbox, 'act')} hello wait`
    const terminal = spawn('script', ['-qec', line, '/dev/null'], { stdio: ['pipe', 'pipe', 'inherit'] })
    const ended = once(terminal, 'exit')
    const shown = { text: '' }
    terminal.stdout.on('data', (chunk) => {
      shown.text += chunk
    })
    return { terminal, ended, shown }
  }
  const { terminal, ended, shown } = learn()
  const line = /\r\u001b\[Koci-sandbox: \d+ s, \d+ calls \(0\/s\), \d+ different/
  await until('it was shown', () => line.test(shown.text))
  terminal.stdin.write('\x04') // the end of input
  t.same(await ended, [0, null])
  t.match(shown.text, /\r\u001b\[Koci-sandbox: policy x: run complete, \d+ calls, \d+ different, \d+ new, 1 task\s+$/)

  const quiet = learn('--quiet')
  await until('the command waits', () => quiet.shown.text.includes('ready'))
  quiet.terminal.stdin.write('\x04') // the end of input
  t.same(await quiet.ended, [0, null])
  t.notMatch(quiet.shown.text, /oci-sandbox/)
})

test('a signal to learn goes on to the command', async (t) => {
  const sandbox = await Sandbox.create(t)
  const args = [
    '--config',
    sandbox.config,
    'learn',
    '-q',
    '--name',
    'x',
    '--',
    'sh',
    '-c',
    'trap "exit 9" TERM; echo ready; while :; do sleep 0.05; done',
  ]
  const child = spawn(OCI_SANDBOX, args, { stdio: ['ignore', 'pipe', 'ignore'] })
  const ended = once(child, 'exit')
  let said = ''
  child.stdout.on('data', (chunk) => {
    said += chunk
  })
  await until('the command runs', () => said.includes('ready'))
  child.kill('SIGTERM')
  t.same(await ended, [9, null])
  t.equal((await sandbox.policy('x')).runs[0]?.exit?.code, 9)
})

test('what cannot be learned is refused before anything runs', async (t) => {
  const sandbox = await Sandbox.create(t)
  const cases: [args: string[], exitCode: number, message: RegExp][] = [
    [['--', 'no-such-program'], 1, /no such program in PATH \[INPUT_UNREADABLE\]/],
    [['--', '/etc/passwd'], 1, /cannot run \/etc\/passwd: it is no program/],
    [['--name', '..', '--', 'true'], 2, /is no policy's name/],
    [['--detail', 'all', '--', 'true'], 2, /--detail all: expected/],
    [[], 2, /expected -- COMMAND/],
  ]
  for (const [args, exitCode, message] of cases)
    t.match(await sandbox.cli('learn', ...args), { exitCode, stderr: message, stdout: '' })
  t.same((await sandbox.cli('policy', 'list', '--json')).stdout, '[]')
  const strict = await Sandbox.create(t, { modes: ['enforce'] })
  t.match(await strict.cli('learn', '--', 'true'), { exitCode: 1, stderr: /NOT_PERMITTED/ })
})

test('report: programs, first sights, counts', async (t) => {
  const sandbox = await Sandbox.create(t, EVERY_CALL)
  const learn = (...args: string[]) => sandbox.cli('learn', '-q', '--name', 'x', '--', ...args)
  await learn(fixture(sandbox, 'bare'))
  await learn(fixture(sandbox, 'bare'))
  await learn(fixture(sandbox, 'act-static'), 'hello', 'socket')
  const { stdout } = await sandbox.cli('report', 'x')
  t.match(stdout, /^policy x\n\nPROGRAM +DIGEST +RUNS +COMPLETE +CALLS +NEW +LAST RUN\n/)
  t.match(stdout, /fixtures\/bare +sha256:[0-9a-f]{12} +2 +2 +4 +2 +20/)
  t.match(
    stdout,
    /\nfirst seen:\n {2}20.*fixtures\/bare\n {4}exit_group \(x86_64\) write \(x86_64\)\n {2}20.*act-static\n(?: {4}.*\n)* {4}.*socket/,
  )
  const json = JSON.parse((await sandbox.cli('report', 'x', '--json')).stdout)
  t.match(
    json.calls.find(({ call }: { call: string }) => call === 'write'),
    { most: 2, architecture: 'x86_64' },
  )
  t.equal(json.timeline.length, 2)
  t.match(await sandbox.cli('report', 'absent'), { exitCode: 1, stderr: /POLICY_NOT_FOUND/ })
})

test('top shows the runs whose tracer lives', async (t) => {
  const sandbox = await Sandbox.create(t, EVERY_CALL)
  t.match(await sandbox.cli('top', '--once'), { exitCode: 0, stdout: 'no container is being learned' })
  await sandbox.run({ mode: 'learn', args: ['/fixtures/act', 'hello'] })
  const bundle = sandbox.bundle({ mode: 'learn', args: ['/fixtures/act', 'socket', 'wait'] })
  const id = sandbox.newId()
  const container = spawn('runc', sandbox.runcArgs('run', '--bundle', bundle, id), {
    stdio: ['pipe', 'pipe', 'ignore'],
  })
  const ended = once(container, 'close')
  let said = ''
  container.stdout.on('data', (chunk) => {
    said += chunk
  })
  await until('the container waits', () => said.includes('ready'))
  const rows = JSON.parse((await sandbox.cli('top', '--json')).stdout)
  t.match(rows, [{ policy: 'test', container: id, program: '/fixtures/act', damaged: false }])
  t.equal(rows.length, 1)
  t.ok(rows[0].distinct > rows[0].new && rows[0].new >= 1, 'socket, at least, is new')
  t.ok(rows[0].calls >= rows[0].distinct && rows[0].calls < 1000, 'the calls until now')
  t.match(rows[0], { rate: Number, lost: 0 })
  t.match((await sandbox.cli('top', '--once')).stdout, new RegExp(`^POLICY .*\\ntest +${id.slice(0, 24)} `))

  // Shown again and again, until q.
  const watched = spawn(OCI_SANDBOX, ['--config', sandbox.config, 'top', '--interval', '0.1'], {
    stdio: ['pipe', 'pipe', 'ignore'],
  })
  const watchedEnd = once(watched, 'exit')
  let shown = ''
  watched.stdout.on('data', (chunk) => {
    shown += chunk
  })
  await until('it was shown three times', () => shown.split('POLICY').length > 3)
  watched.stdin.write('q')
  t.same(await watchedEnd, [0, null])
  container.stdin.end()
  await ended
  t.equal((await sandbox.cli('top', '--once')).stdout, 'no container is being learned')
  t.match(await sandbox.cli('top', '--interval', '0'), { exitCode: 2, stderr: /expected seconds/ })
})

test('top says how many calls a second there are, by eBPF and by stops at each call', async (t) => {
  for (const backend of ['ebpf', 'ptrace-syscall']) {
    const sandbox = await Sandbox.create(t, { learn: { backend } })
    const args = ['/usr/bin/dd', 'if=/dev/zero', 'of=/dev/null', 'bs=1', 'status=none']
    const id = sandbox.newId()
    const bundle = sandbox.bundle({ mode: 'learn', args })
    const busy = spawn('runc', sandbox.runcArgs('run', '--bundle', bundle, id), { stdio: 'ignore' })
    const ended = once(busy, 'exit')
    t.teardown(() => sandbox.runc('delete', '--force', id))
    let shown = ''
    const watched = spawn(OCI_SANDBOX, ['--config', sandbox.config, 'top', '--interval', '0.6'], {
      stdio: ['pipe', 'pipe', 'ignore'],
    })
    const watchedEnd = once(watched, 'exit')
    watched.stdout.on('data', (chunk) => {
      shown += chunk
    })
    const rates = () => [...shown.matchAll(/^test .* s +(\d+) /gm)].map(([, rate]) => Number(rate))
    // The second look is about the time since the first one.
    await until(`${backend}: many calls a second`, () =>
      rates()
        .slice(1)
        .some((rate) => rate > 1000),
    )
    await sandbox.runc('kill', id, 'KILL')
    watched.stdin.write('q')
    t.same(await watchedEnd, [0, null], backend)
    await ended
    await settled(sandbox.config)
    const [run] = (await sandbox.policy()).runs
    t.match(run, { backend, complete: true, exit: { signal: 9 } })
    t.ok(Number(run?.calls) > 1000, backend)
  }
})
