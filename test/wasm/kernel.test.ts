// The kernel takes what is exported, and does what the rules say: see fixtures/enforce.c.
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { test } from 'tap'
import { allow, filterFor, seccomp } from './helpers/seccomp.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const folder = `${root}build/test/kernel`
mkdirSync(folder, { recursive: true })
execFileSync('gcc', ['-O1', '-Wall', '-o', `${folder}/enforce`, `${root}test/wasm/fixtures/enforce.c`], {
  stdio: 'inherit',
})

const host = process.arch === 'arm64' ? 'aarch64' : 'x86_64'
const number = (name: string): number => seccomp.resolveName(host, name) ?? -1

/** Results of calls under a program: each a number, or a negative errno. */
const enforce = (name: string, program: Uint8Array, ...calls: string[]) => {
  writeFileSync(`${folder}/${name}.bpf`, program)
  const { status, signal, stdout, stderr } = spawnSync(`${folder}/enforce`, [`${folder}/${name}.bpf`, ...calls])
  return { status, signal, results: stdout.toString().trim().split('\n').map(Number), stderr: stderr.toString() }
}

test('a rule lets a call through with the right argument only', async (t) => {
  using filter = filterFor(host)
  filter.add(allow, 'write').add(allow, 'exit_group').add(allow, 'getppid')
  filter.add(allow, 'getpgid', [{ index: 0, op: '==', value: 0n }])
  const calls = [`${number('getppid')}`, `${number('getpgid')},0`, `${number('getpgid')},1`, `${number('getsid')},0`]
  const { status, results, stderr } = enforce('argument', filter.toBPF(), ...calls)
  t.equal(status, 0, stderr)
  t.equal(results[0], process.pid)
  t.ok((results[1] ?? -1) > 0, 'getpgid(0)')
  t.equal(results[2], -1, 'getpgid(1): EPERM')
  t.equal(results[3], -1, 'getsid: EPERM')
})

test('killing kills', async (t) => {
  using filter = seccomp.filter({ defaultAction: allow, architectures: [host] })
  filter.add({ kind: 'killProcess' }, 'getpgid')
  const { signal } = enforce('kill', filter.toBPF(), `${number('getpgid')},0`)
  t.equal(signal, 'SIGSYS')
})

test('the kernel takes a program of nearly 4096 instructions', async (t) => {
  using filter = filterFor(host)
  filter.add(allow, 'write').add(allow, 'exit_group')
  for (let value = 1n; value <= 4000n; value++) filter.add(allow, 'getpgid', [{ index: 0, op: '==', value }])
  const program = filter.toBPF()
  t.ok(program.length / 8 > 4000 && program.length / 8 <= 4096, `${program.length / 8} instructions`)
  const { status, results, stderr } = enforce('large', program, `${number('getpgid')},4001`)
  t.equal(status, 0, stderr)
  t.same(results, [-1])
})

test('the kernel takes all architectures of a filter and the binary tree', async (t) => {
  using filter = seccomp.filter({
    defaultAction: { kind: 'errno', errno: 38 },
    architectures: host === 'x86_64' ? ['x86_64', 'x86', 'x32'] : ['aarch64', 'arm'],
    optimize: 2,
  })
  for (const name of seccomp.syscalls(host).keys()) if (name !== 'getpgid') filter.add(allow, name)
  const { status, results, stderr } = enforce('tree', filter.toBPF(), `${number('getpgid')},0`, `${number('getppid')}`)
  t.equal(status, 0, stderr)
  t.same(results, [-38, process.pid])
})
