// With filters: no harm to the container, and no claim beyond what was seen.

import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { execa } from 'execa'
import t from 'tap'
import { Simulator } from '../../src/filter/simulate.ts'
import {
  countsOf,
  eventsOf,
  fixtures,
  learnHookWith,
  makeBundle,
  noProcessOf,
  printed,
  readLines,
  seenOf,
  start,
  statusField,
  type Teardown,
  temporary,
  tracer,
  until,
} from './harness.ts'
import { knownFile, knownOf, learn, NOT_EBPF, SYSCALL, TRACE, unique, withFilters } from './ways.ts'

const filtersOf = async (pid: number): Promise<number> => Number((await statusField(pid, 'Seccomp_filters')) ?? 0)

/** A container that runs until its standard input ends, watched in some way; `filters`: how many it has then. */
const spinning = async (t: Teardown, way: string[], filters: number) => {
  const options = { args: ['/bin/spin'], programs: ['spin'], noNewPrivileges: true }
  const bundle = await makeBundle(t, { ...options, hook: [...learnHookWith('auto'), ...way] })
  const running = start(bundle)
  await printed(running, 'ready')
  const hello = (await readLines(bundle.output))[0] ?? {}
  await until('the filters are there', async () => (await filtersOf(hello.pid)) === filters)
  return { bundle, running, pid: hello.pid as number, tracerPid: hello.tracerPid as number }
}

t.test('kill -9 of the tracer ends a container with filters, and no other', async (t) => {
  for (const [name, way] of Object.entries(await withFilters(t))) {
    const { bundle, running, tracerPid } = await spinning(t, way, 1)
    process.kill(tracerPid, 'SIGKILL')
    t.equal((await running).exitCode, 128 + 9, name)
    t.same(eventsOf(await readLines(bundle.output), 'finish'), [], `${name}: the run is partial`)
    running.stdin.end()
  }
  for (const way of [SYSCALL, ['--backend', 'ptrace-adaptive', '--patience', '1000000000']]) {
    const { running, pid, tracerPid } = await spinning(t, way, 0)
    process.kill(tracerPid, 'SIGKILL')
    await until('the tracer is gone', async () => (await statusField(pid, 'TracerPid')) === '0')
    running.stdin.end()
    t.equal((await running).exitCode, 9, 'unharmed')
  }
})

t.test('SIGTERM: a tracer that cannot let the container go, goes on', async (t) => {
  for (const [name, way] of Object.entries(await withFilters(t))) {
    const { bundle, running, tracerPid } = await spinning(t, way, 1)
    process.kill(tracerPid, 'SIGTERM')
    running.stdin.end()
    t.equal((await running).exitCode, 9, name)
    t.match((await readLines(bundle.output)).at(-1), {
      event: 'finish',
      complete: true,
      reason: 'exited',
      backend: name,
    })
  }
})

t.test("the container's own filter", async (t) => {
  const refused = 'x86_64:111'
  const seccomp = { defaultAction: 'SCMP_ACT_ALLOW', syscalls: [{ names: ['getpgrp'], action: 'SCMP_ACT_ERRNO' }] }
  const options = { args: ['/bin/switching'], programs: ['switching'], noNewPrivileges: true, seccomp }
  const known = await knownFile(t, ['x86_64:110', 'x86_64:0'])
  for (const way of [SYSCALL, [...NOT_EBPF, '--patience', '10'], [...NOT_EBPF, '--known', known]]) {
    const { result, lines, finish } = await learn(t, way, options)
    t.equal(result.exitCode, 14)
    t.ok(seenOf(lines).includes(refused), `${way}: by itself the tracer chooses what sees refused calls`)
    t.match(finish, { complete: true, backend: 'ptrace-syscall', counts: 'exact', otherFilters: false })
    t.same(knownOf(lines), [])
  }
  for (const [name, way] of Object.entries(await withFilters(t))) {
    const { result, lines, finish } = await learn(t, way, options)
    t.equal(result.exitCode, 14)
    t.notOk(seenOf(lines).includes(refused), `${name}: the refused call is not seen`)
    t.match(finish, { complete: false, backend: name, otherFilters: true }, `${name}: and the record says so`)
  }
})

t.test('a filter that a program gives to all its threads', async (t) => {
  const options = { args: ['/bin/refusing', 'threads'], programs: ['refusing'], noNewPrivileges: true }
  const plain = await learn(t, SYSCALL, options)
  t.equal(plain.result.exitCode, 13)
  for (const [name, way] of Object.entries(await withFilters(t))) {
    const { result, lines, finish } = await learn(t, way, options)
    t.equal(result.exitCode, 13, name)
    const unwatched = knownOf(lines)
    // pause (34), which the threads are in, is the call that may go by.
    const but = (calls: string[]) => unique(calls).filter((call) => call !== 'x86_64:34')
    t.same(but([...seenOf(lines), ...unwatched]), but([...seenOf(plain.lines), ...unwatched]), name)
    t.match(
      finish,
      { complete: false, otherFilters: true },
      `${name}: a thread may have made a call before it was stopped`,
    )
  }
})

t.test('CLONE_UNTRACED is flagged', async (t) => {
  for (const way of Object.values(await withFilters(t))) {
    for (const how of ['clone', 'clone3']) {
      const options = { args: ['/bin/untraced', how], programs: ['untraced'], noNewPrivileges: true }
      const { bundle, lines, finish } = await learn(t, way, options)
      t.match(eventsOf(lines, 'warn'), [{ code: 'untraced-clone' }])
      t.match(finish, { complete: false, reason: 'exited', lost: { tasks: 1 } })
      await noProcessOf(bundle)
    }
  }
})

t.test("the runtime's hooks have the filter, work, and are not recorded", async (t) => {
  const startContainer = [{ path: '/bin/busybox', args: ['busybox', 'sh', '-c', 'echo $(busybox uname) >/tmp/hook'] }]
  for (const [name, way] of Object.entries(await withFilters(t))) {
    const { bundle, result, lines, finish } = await learn(t, way, { args: ['/bin/exact'], startContainer })
    t.equal(result.exitCode, 6, name)
    t.equal(await readFile(join(bundle.rootfs, 'tmp/hook'), 'utf8'), 'Linux\n')
    t.same(countsOf(lines), { 'x86_64:1': 1, 'x86_64:39': 3, 'x86_64:102': 2, 'x86_64:231': 1 })
    t.match(finish, { complete: true, tasks: 1 })
  }
})

t.test('a command that is not found', async (t) => {
  for (const way of Object.values(await withFilters(t))) {
    const { bundle, result, finish } = await learn(t, way, { args: ['/bin/missing'] })
    t.match(result.stderr, /\/bin\/missing.*no such file or directory/)
    t.match(finish, { event: 'finish', complete: false, reason: 'no-exec', calls: 0 })
    await noProcessOf(bundle)
  }
})

t.test('by itself the tracer changes its way when nothing new comes, and counts less', async (t) => {
  const calls = 20_000
  const dd = ['/bin/busybox', 'dd', 'if=/dev/zero', 'of=/dev/null', 'bs=1', `count=${calls}`]
  const quick = await learn(t, NOT_EBPF, { args: dd, noNewPrivileges: true })
  t.match(quick.finish, { complete: true, backend: 'ptrace-adaptive', counts: 'at-least' })
  t.ok(quick.finish.calls < calls, `${quick.finish.calls} calls were counted`)
  const slow = await learn(t, NOT_EBPF, { args: dd })
  t.match(
    slow.finish,
    { complete: true, backend: 'ptrace-syscall', counts: 'exact' },
    'not without a right to set filters',
  )
  t.ok(slow.finish.calls >= 2 * calls)
  t.same(seenOf(quick.lines), seenOf(slow.lines))
  const allowed = await learn(t, [...NOT_EBPF, '--allow-no-new-privs'], { args: dd })
  t.match(allowed.finish, { complete: true, backend: 'ptrace-adaptive' }, 'but where NO_NEW_PRIVS may be set')
})

t.test('calls whose arguments are recorded are watched, known or not', async (t) => {
  const known = await knownFile(t, ['x86_64:1', 'x86_64:39', 'x86_64:102', 'x86_64:231'])
  const way = [...NOT_EBPF, '--known', known, '--arguments', 'x86_64:1:1,x86_64:231:1']
  const { lines, finish } = await learn(t, way, { args: ['/bin/exact'] })
  t.same(seenOf(lines), ['x86_64:1', 'x86_64:231'])
  t.same(knownOf(lines), ['x86_64:39', 'x86_64:102'])
  t.match(eventsOf(lines, 'arguments'), [
    { nr: 1, values: [1] },
    { nr: 231, values: [6] },
  ])
  t.match(finish, { complete: true, backend: 'ptrace-known', calls: 2, distinct: 2 })
})

/** A process that waits to be attached to, then executes a program; `prefix` runs it. */
const waiting = async (t: Teardown, prefix: string[], ...program: string[]) => {
  const shell = ['sh', '-c', 'read x; exec "$@"', 'sh', ...program]
  const [command, ...args] = [...prefix, ...shell] as [string, ...string[]]
  const running = execa(command, args, { reject: false })
  t.teardown(() => running.kill('SIGKILL'))
  await until('the shell waits', async () =>
    (await readFile(`/proc/${running.pid}/syscall`, 'utf8').catch(() => '')).startsWith('0 0x0 '),
  )
  return { running } // not awaited
}

t.test('without CAP_SYS_ADMIN', async (t) => {
  const weak = ['setpriv', '--bounding-set=-sys_admin', '--inh-caps=-all']
  const cases: [string, string[], string[], string][] = [
    ['a filter that is not suspended meanwhile', ['--no-new-privs'], [], 'ptrace-trace'],
    ['a filter at the start of the program', [], ['--allow-no-new-privs'], 'ptrace-trace'],
    ['none', [], [], 'ptrace-syscall'],
  ]
  for (const [name, privileges, options, backend] of cases) {
    const { running } = await waiting(t, [...weak, ...privileges], join(fixtures, 'exact'))
    const output = join(await temporary(t), 'stream')
    const args = ['learn', '--pid', String(running.pid), '--output', output, ...TRACE, ...options]
    const [command, ...rest] = [...weak, tracer, ...args] as [string, ...string[]]
    await execa(command, rest)
    running.stdin?.write('\n')
    t.equal((await running).exitCode, 6, name)
    const lines = await readLines(output)
    t.same(countsOf(lines), { 'x86_64:1': 1, 'x86_64:39': 3, 'x86_64:102': 2, 'x86_64:231': 1 }, name)
    t.match(lines.at(-1), { event: 'finish', complete: true, backend, counts: 'exact' }, name)
  }
})

t.test('what passes the filter is what was given, for each ABI', async (t) => {
  const X86_64 = 0xc000003e // AUDIT_ARCH_* of linux/audit.h
  const X86 = 0x40000003
  const AARCH64 = 0xc00000b7
  const X32 = 0x40000000
  const every = (step: number) => Array.from({ length: 1024 }, (_, nr) => nr).filter((nr) => nr % step === 0)
  const lists: Record<string, Record<string, number[]>> = {
    few: { x86_64: [0, 1, 56, 157, 317, 435, 1023], x32: [2], x86: [5, 120, 172, 354] },
    many: { x86_64: every(3), x32: every(5), x86: every(7) },
    all: { x86_64: every(1), x32: every(1), x86: every(1) },
  }
  for (const [name, list] of Object.entries(lists)) {
    const calls = Object.entries(list).flatMap(([abi, numbers]) => numbers.map((nr) => `${abi}:${nr}`))
    const { stdout } = await execa(join(fixtures, 'allow'), [await knownFile(t, calls)], { encoding: 'buffer' })
    t.ok(stdout.length / 8 <= 4096)
    const filter = new Simulator(stdout)
    const passes = (arch: number, number: number, first: bigint) =>
      filter.run({ arch, number, args: [first] }) === 0x7fff0000 // SECCOMP_RET_ALLOW
    const wrong: string[] = []
    for (const [abi, arch, base, clone, prctl, seccomp] of [
      ['x86_64', X86_64, 0, 56, 157, 317],
      ['x32', X86_64, X32, 56, 157, 317],
      ['x86', X86, 0, 120, 172, 354],
    ] as const) {
      for (let nr = 0; nr < 1100; nr++) {
        const listed = (list[abi] ?? []).includes(nr)
        const expected = (first: bigint) =>
          listed &&
          nr !== 435 && // clone3
          nr !== seccomp &&
          !(nr === clone && first === 0x800011n) && // CLONE_UNTRACED
          !(nr === prctl && first === 22n) // PR_SET_SECCOMP
        for (const first of [0n, 22n, 0x800011n])
          if (passes(arch, base + nr, first) !== expected(first)) wrong.push(`${abi} ${nr} ${first}`)
      }
    }
    for (const number of [-1 >>> 0, 0x80000000, 0x7fffffff]) if (passes(X86_64, number, 0n)) wrong.push(`${number}`)
    for (const number of [0, 1, 1023]) if (passes(AARCH64, number, 0n)) wrong.push(`aarch64 ${number}`)
    t.same(wrong, [], name)
  }
})

t.test('the list of known calls', async (t) => {
  const directory = await temporary(t)
  const file = join(directory, 'known')
  const attempt = async (text: string | undefined, ...more: string[]) => {
    if (text !== undefined) await writeFile(file, text)
    return execa(tracer, ['learn', '--pid', '1', '--output', join(directory, 'o'), '--known', file, ...more], {
      reject: false,
    })
  }
  t.match(await attempt(undefined), { exitCode: 1, stderr: /cannot open the list of known calls .*: No such file/ })
  for (const bad of [
    'x86_64',
    'x86_64 ',
    'x86_64 1',
    'vax 1\n',
    'x86_64 -1\n',
    'x86_64 1 2\n',
    '\n',
    'x86_64  1\n',
    'x86_64 99999999999\n',
  ])
    t.match(
      await attempt(`# a list\nx86_64 0\n${bad}`),
      { exitCode: 1, stderr: /line 3: expected an ABI and a number/ },
      bad,
    )
  const without = await execa(tracer, ['learn', '--pid', '1', '--output', 'o', '--backend', 'ptrace-known'], {
    reject: false,
  })
  t.match(without, { exitCode: 2, stderr: /ptrace-known needs --known FILE/ })
  t.match(await attempt('x86_64 0\n', '--backend', 'ptrace'), {
    exitCode: 2,
    stderr: /expected auto, ebpf, ptrace-syscall/,
  })
})
