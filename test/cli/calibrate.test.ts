/** doctor --calibrate with real runtimes, and what becomes of what it measures. */
import { appendFileSync, chmodSync, copyFileSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { execa } from 'execa'
import tap, { test } from 'tap'
import { encodePolicy } from '../../src/policy/document.ts'
import { RUNTIME_CALLS } from '../../src/policy/runtime-calls.ts'
import { readCalls } from '../../src/setup/calibrate-record.ts'
import type { Finding } from '../../src/setup/finding.ts'
import { CGROUP2 } from '../engines/crun.ts'
import { annotated, container, hooksDirectory, podman } from '../lib/podman.ts'
import { policy } from '../lib/policies.ts'
import { namesOf, OCI_SANDBOX, Sandbox, SHIM } from '../lib/sandbox.ts'

const STARTS = 20

// Each calibration starts 80 containers.
tap.setTimeout(1_200_000)

async function calibration(sandbox: Sandbox, ...args: string[]) {
  const { stdout, stderr, exitCode } = await sandbox.cli('doctor', '--calibrate', '--json', ...args)
  if (exitCode !== 0) throw new Error(stderr)
  return JSON.parse(stdout)
}

async function finding(sandbox: Sandbox, ...args: string[]): Promise<Finding | undefined> {
  const findings: Finding[] = JSON.parse((await sandbox.cli('doctor', '--json', ...args)).stdout)
  return findings.find(({ check }) => check === 'calibration')
}

for (const runtime of ['runc', 'crun'] as const) {
  test(`${runtime}: what was measured is enough, and is used`, async (t) => {
    const sandbox = await Sandbox.create(t, { runtime, enforce: { method: 'bundle' } })
    t.match(await finding(sandbox), { state: 'ok', found: /is not calibrated/, remedy: /--calibrate --runtime \// })
    const measured = await calibration(sandbox)
    t.match(measured, { version: new RegExp(`^${runtime} version `), path: new RegExp(`/${runtime}$`), runs: 80 })
    const { noNewPrivileges, newPrivileges } = measured.calls
    for (const call of ['close', 'execve', 'restart_syscall', 'rt_sigreturn']) {
      t.ok(noNewPrivileges.includes(call), call)
      t.ok(newPrivileges.includes(call), call)
    }
    t.equal(noNewPrivileges.includes('futex'), runtime === 'runc', 'only where Go is')
    for (const call of ['mount', 'pivot_root', 'unshare', 'seccomp']) t.notOk(noNewPrivileges.includes(call), call)
    for (const call of ['mount', 'pivot_root', 'unshare', 'seccomp']) t.notOk(newPrivileges.includes(call), call)
    t.equal(noNewPrivileges.includes('capset'), runtime === 'crun', 'for crun exec')
    t.ok(newPrivileges.includes('capset'))
    t.ok(noNewPrivileges.length < RUNTIME_CALLS.length, 'less than the shipped table')
    t.same(readdirSync(join(sandbox.store, 'runtimes')), [`${measured.digest}.json`])
    t.match(await finding(sandbox), { state: 'ok', found: /was calibrated at/ })

    const globals = ['--config', sandbox.config, '--root', join(sandbox.directory, 'state')]
    const before = runtime === 'crun' ? CGROUP2 : []
    const options = runtime === 'crun' ? ['--cgroup-manager=disabled'] : []
    for (const noNewPrivileges of [true, false]) {
      for (const uid of [0, 1000]) {
        const run = async (mode: 'learn' | 'enforce') => {
          const args = ['/fixtures/act', 'hello', 'exit', '3']
          const annotations = mode === 'enforce' ? { 'io.sandbox.action': 'kill' } : {}
          const bundle = sandbox.bundle({ hooks: {}, mode, args, annotations, noNewPrivileges, uid })
          const line = [...before, SHIM, ...globals, ...options, 'run', '--bundle', bundle, sandbox.newId()]
          const ended = await execa(line[0] as string, line.slice(1), { reject: false, stdin: 'ignore' })
          // crun 1.8.1 was seen to be ended by SIGPIPE itself, after its container's end, where it loads the filter.
          if (runtime === 'crun' && ended.signal === 'SIGPIPE') return { exitCode: 3, stdout: ended.stdout }
          return { exitCode: ended.exitCode ?? ended.signal, stdout: ended.stdout, stderr: ended.stderr }
        }
        t.match(await run('learn'), { exitCode: 3, stdout: 'hello: ok' })
        for (let start = 0; start < STARTS / 2; start++) {
          t.match(await run('enforce'), { exitCode: 3, stdout: 'hello: ok' }, `${noNewPrivileges}, ${uid}, ${start}`)
        }
      }
    }
    const said = sandbox.journal().filter(({ event }) => event === 'runtime-calls')
    t.equal(said.length, 2 * STARTS)
    for (const { message } of said) t.match(message, /own calls from the calibration of .* version /)
  })
}

/** A call of fstatfs for no descriptor, number 138 of x86-64: runc makes it itself, crun does not. */
const FSTATFS = ['call', '138,4096']

test("crun's annotation and podman's precreate hold what was measured", { timeout: 200_000 }, async (t) => {
  const sandbox = await Sandbox.create(t, { runtime: 'crun', enforce: { method: 'crun-bpf' } })
  const configure = (settings: object) =>
    writeFileSync(sandbox.config, JSON.stringify({ store: sandbox.store, runtime: 'crun', ...settings }))
  const crun = async (mode: 'learn' | 'enforce', noNewPrivileges: boolean, ...args: string[]) => {
    const bundle = sandbox.bundle({ hooks: {}, mode, noNewPrivileges, args: ['/fixtures/act', ...args] })
    const globals = [
      '--config',
      sandbox.config,
      '--root',
      join(sandbox.directory, 'state'),
      '--cgroup-manager=disabled',
    ]
    const line = [...CGROUP2, SHIM, ...globals, 'run', '--bundle', bundle, sandbox.newId()]
    return await execa(line[0] as string, line.slice(1), { reject: false, stdin: 'ignore' })
  }
  const said = () => sandbox.journal().findLast(({ event }) => event === 'runtime-calls')?.message

  /** What podman's hook makes of a container. */
  const precreate = async (noNewPrivileges: boolean) => {
    const input = {
      ociVersion: '1.0.2',
      process: { noNewPrivileges },
      annotations: { 'io.sandbox.mode': 'enforce', 'io.sandbox.policy': 'test' },
    }
    const args = ['hook', 'precreate', '--config', sandbox.config]
    const { stdout } = await execa(OCI_SANDBOX, args, { input: JSON.stringify(input) })
    return JSON.parse(stdout).linux.seccomp.syscalls[0].names as string[]
  }

  t.match(await crun('learn', true, 'hello'), { stdout: 'hello: ok' })
  const learned = namesOf(await sandbox.policy())
  const hold = (calls: readonly string[]) => [...new Set([...learned, ...calls])].sort()
  t.match(await crun('enforce', true, 'hello', ...FSTATFS), { stdout: 'hello: ok\n138,4096: Bad file descriptor' })
  t.match(said(), /in crun's annotation, .* from the shipped table \(\/usr\/bin\/crun is not calibrated\)/)
  configure({ enforce: { method: 'bundle' } })
  t.same(await precreate(true), hold(RUNTIME_CALLS))

  const ofCrun = (await calibration(sandbox)).calls
  for (const noNewPrivileges of [true, false]) {
    configure({ enforce: { method: 'crun-bpf' } })
    const { stdout } = await crun('enforce', noNewPrivileges, 'hello', ...FSTATFS)
    t.equal(stdout, 'hello: ok\n138,4096: Operation not permitted')
    t.match(said(), /in crun's annotation, .* from the calibration of \/usr\/bin\/crun \(crun version/)
  }
  // Which runtime podman has chosen the hook is not told: all that it may be must have been measured.
  configure({ enforce: { method: 'bundle' } })
  t.same(await precreate(true), hold(RUNTIME_CALLS))
  t.match(said(), /from the shipped table \(\/usr\/sbin\/runc is not calibrated\)/)
  const ofRunc = (await calibration(sandbox, '--runtime', 'runc')).calls
  t.same(await precreate(true), hold([...ofCrun.noNewPrivileges, ...ofRunc.noNewPrivileges]))
  t.same(await precreate(false), hold([...ofCrun.newPrivileges, ...ofRunc.newPrivileges]))
  t.match(said(), /from the calibration of \/usr\/bin\/crun .* and the calibration of \/usr\/sbin\/runc /)

  // And podman's containers start with that.
  const hooks = hooksDirectory(sandbox, 'podman-hooks.d', ['precreate'])
  const globals = ['--cgroup-manager', 'cgroupfs', '--hooks-dir', hooks]
  const run = ['run', '--rm', ...container(sandbox, annotated('enforce'), '/fixtures/act hello socket exit 3')]
  t.match(await podman({ sandbox, globals }, ...run), {
    exitCode: 3,
    stdout: 'hello: ok\nsocket: Operation not permitted',
  })
})

test('a runtime that has changed is not calibrated', async (t) => {
  const sandbox = await Sandbox.create(t, { enforce: { method: 'bundle' } })
  const runtime = join(sandbox.directory, 'runc-copy')
  copyFileSync('/usr/sbin/runc', runtime)
  chmodSync(runtime, 0o755)
  writeFileSync(sandbox.config, JSON.stringify({ store: sandbox.store, runtime, enforce: { method: 'bundle' } }))
  sandbox.writePolicy(encodePolicy(policy(['read'], { name: 'web' })), 'web')
  const exported = async (...args: string[]) => {
    const { stdout, stderr } = await sandbox.cli('policy', 'export', 'web', ...args)
    return { names: JSON.parse(stdout).syscalls[0].names as string[], stderr }
  }
  t.match((await exported()).stderr, /own calls from the shipped table \(.*runc-copy is not calibrated\)/)
  const { digest, calls } = await calibration(sandbox)
  const fitting = await exported()
  t.match(fitting.stderr, /own calls from the calibration of .*runc-copy \(runc version/)
  t.same(fitting.names, [...new Set([...calls.noNewPrivileges, ...calls.newPrivileges, 'read'])].sort())
  t.match(await finding(sandbox), { state: 'ok', found: /runc-copy .* was calibrated/ })

  appendFileSync(runtime, 'x')
  t.match(await finding(sandbox), {
    state: 'warning',
    found: /runc-copy is not calibrated: it has changed since .*; the shipped table holds/,
    remedy: `oci-sandbox doctor --calibrate --runtime ${runtime}`,
  })
  const changed = await exported()
  t.match(changed.stderr, /the shipped table/)
  t.same(changed.names, [...new Set([...RUNTIME_CALLS, 'read'])].sort())
  t.ok(existsSync(join(sandbox.store, 'runtimes', `${digest}.json`)))
  t.match((await exported('--runtime', '/usr/sbin/runc')).stderr, /\/usr\/sbin\/runc is not calibrated/)

  const again = await calibration(sandbox)
  t.not(again.digest, digest)
  t.match(await finding(sandbox), { state: 'ok', found: /was calibrated/ })

  // Others could add calls to it.
  const note = join(sandbox.store, 'runtimes', `${again.digest}.json`)
  chmodSync(note, 0o666)
  t.match(await finding(sandbox), { state: 'problem', found: /is writable by its group or by others/ })
  t.match(await sandbox.cli('policy', 'export', 'web'), { exitCode: 1, stderr: /\[STORE_UNSAFE\]/ })
  chmodSync(note, 0o644)
  writeFileSync(note, readFileSync(note, 'utf8').replaceAll('"execve"', '7'))
  t.match((await exported()).stderr, /the shipped table/, 'what is damaged is none')
})

test('a runtime that cannot be run says so', async (t) => {
  const sandbox = await Sandbox.create(t)
  const script = join(sandbox.directory, 'runtime-that-refuses')
  writeFileSync(script, '#!/bin/sh\necho "no such option" >&2\nexit 1\n', { mode: 0o755 })
  const cases: [runtime: string, message: RegExp][] = [
    [script, /cannot be started here with "run": no such option;.* \[RUNTIME_FAILED\]$/],
    ['/usr/bin/true', /the tracer ended before the program started.* \[RUNTIME_FAILED\]$/],
    ['/nonexistent/runc', /there is no program \/nonexistent\/runc.* \[RUNTIME_FAILED\]$/],
  ]
  for (const [runtime, stderr] of cases) {
    t.match(await sandbox.cli('doctor', '--calibrate', '--runtime', runtime), { exitCode: 1, stdout: '', stderr })
  }
  t.notOk(existsSync(join(sandbox.store, 'runtimes')))
})

test('records that are not those of a start under a filter', async (t) => {
  const nameOf = (_: string, number: number) => (number === 59 ? 'execve' : undefined)
  const seen = (nr: number) => `{"event":"seen","arch":"x86_64","nr":${nr}}\n`
  const finish = (reason: string, lost = 0) => `{"event":"finish","reason":"${reason}","lost":${lost}}\n`
  t.same(readCalls(seen(59) + finish('exec'), nameOf, 'r'), ['execve'])
  const cases: [record: string, message: RegExp][] = [
    ['', /ended before/],
    [seen(59), /ended before/],
    [finish('no-filter'), /without loading linux.seccomp/],
    [finish('no-exec'), /not started \(no-exec\)/],
    [finish('timeout'), /not started \(timeout\)/],
    [seen(59) + finish('exec', 2), /2 calls were lost/],
    [seen(9999) + finish('exec'), /call 9999 of x86_64, which has no name/],
  ]
  for (const [record, message] of cases)
    t.throws(() => readCalls(record, nameOf, 'r'), { code: 'RUNTIME_FAILED', message })
})
