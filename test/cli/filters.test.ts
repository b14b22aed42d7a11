/** The commands that look into filters: policy verify, policy diff, explain, simulate, disassemble. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import type { PolicyDocument } from '../../src/generated/policy.ts'
import { encodePolicy } from '../../src/policy/document.ts'
import { policy, run } from '../lib/policies.ts'
import { Sandbox } from '../lib/sandbox.ts'

const web = policy(
  [
    { name: 'read', count: 7, since: 'a', again: 'b' },
    { name: 'ioctl', since: 'b', learned: { arguments: [1], values: [[0x5401], [0x5413]] } },
    { name: 'openat2', via: 'openat' },
    'write',
    'exit_group',
    { name: 'socket', since: 'a', rules: [[{ index: 0, op: '==', value: 1 }], [{ index: 0, op: '==', value: 2 }]] },
  ],
  {
    name: 'web',
    runs: [run('a', { program: { path: '/usr/sbin/nginx' } }), run('b', { started: '2026-11-21T01:00:00.000Z' })],
    complete: true,
  },
)

async function withPolicy(t: { teardown(handler: () => unknown): void }, document: PolicyDocument = web) {
  const sandbox = await Sandbox.create(t)
  sandbox.writePolicy(encodePolicy(document), document.name)
  const file = (name: string) => join(sandbox.directory, name)
  return { sandbox, file }
}

test('policy verify: the compiled filter, the cached ones, raw ones, and learned calls', async (t) => {
  const { sandbox, file } = await withPolicy(t)
  const first = await sandbox.cli('policy', 'verify', 'web')
  t.match(first, { exitCode: 0, stderr: '' })
  t.match(first.stdout, /^policy web: proved for every architecture, syscall number and argument\n/)
  t.match(first.stdout, /^ok +compiled filter: is the policy \(1 program, \d+ instructions\)$/m)
  t.match(first.stdout, /^ok +learned calls: all 3 pass$/m)
  t.notMatch(first.stdout, /cached/)

  await sandbox.cli('compile', 'web', '-o', file('errno'))
  await sandbox.cli('compile', 'web', '-o', file('kill'), '--action', 'kill')
  t.match(
    (await sandbox.cli('policy', 'verify', 'web')).stdout,
    /cached filter for errno: is .*\n.*cached filter for kill: is/,
  )
  t.match(await sandbox.cli('policy', 'verify', 'web', '--filter', file('errno')), { exitCode: 0 })
  const other = await sandbox.cli('policy', 'verify', 'web', '--filter', file('kill'), '--json')
  t.equal(other.exitCode, 1, 'another action is another filter')
  t.match(JSON.parse(other.stdout), { policy: 'web', holds: false, checks: [{ holds: false }, { holds: true }] })
})

test('policy verify finds a filter with one wrong instruction, and one that the kernel would not take', async (t) => {
  const { sandbox, file } = await withPolicy(t)
  await sandbox.cli('compile', 'web', '-o', file('filter'))
  const bytes = readFileSync(file('filter'))
  // exit_group is 231: its neighbour is allowed instead.
  const at = Array.from({ length: bytes.length / 8 }, (_, index) => index * 8).find(
    (place) => bytes[place] === 0x15 && bytes.readUInt32LE(place + 4) === 231,
  )
  bytes.writeUInt32LE(230, (at as number) + 4)
  writeFileSync(file('wrong'), bytes)
  const wrong = await sandbox.cli('policy', 'verify', 'web', '--filter', file('wrong'))
  t.equal(wrong.exitCode, 1)
  t.match(wrong.stdout, /^FAILED +\S+wrong: answers ALLOW to x86_64 syscall 230\(\), and the policy ERRNO\(1\)$/m)
  t.match(wrong.stdout, /^policy web: NOT proved$/m)
  writeFileSync(file('cut'), bytes.subarray(0, -8))
  writeFileSync(file('odd'), bytes.subarray(0, -3))
  for (const name of ['cut', 'odd'])
    t.match(await sandbox.cli('policy', 'verify', 'web', '--filter', file(name)), {
      exitCode: 1,
      stderr: /\[FILTER_INVALID\]/,
    })
})

test('policy verify: a filter that lies broken in the cache is not taken for one', async (t) => {
  const { sandbox, file } = await withPolicy(t)
  await sandbox.cli('compile', 'web', '-o', file('filter'))
  const verify = async () => (await sandbox.cli('policy', 'verify', 'web')).stdout
  t.match(await verify(), /cached filter for errno/)
  const changed = policy(['read'], { name: 'web' })
  sandbox.writePolicy(encodePolicy(changed), 'web')
  t.notMatch(await verify(), /cached/, 'what is cached for another text is not this policy’s')
})

test('policy verify: several programs', async (t) => {
  const rules = Array.from({ length: 2500 }, (_, value) => [
    { index: 0, op: '==' as const, value: value * 7919 },
    { index: 2, op: 'masked==' as const, mask: 0xff, value: value % 256 },
  ])
  const { sandbox, file } = await withPolicy(t, policy(['read', { name: 'ioctl', rules }], { name: 'many' }))
  await sandbox.cli('compile', 'many', '-o', file('filter'))
  const { stdout, exitCode } = await sandbox.cli('policy', 'verify', 'many', '--filter', file('filter'))
  t.equal(exitCode, 0, stdout)
  t.match(stdout, /is the policy \([2-9] programs, \d{4,} instructions\)/, 'FILE.1 is read with FILE')
  const [, last] = [readFileSync(file('filter')), readFileSync(file('filter.1'))]
  writeFileSync(file('alone'), last)
  t.match(await sandbox.cli('policy', 'verify', 'many', '--filter', file('alone')), { exitCode: 1 })
  const both = ['--filter', file('filter.1'), '--filter', file('filter')]
  t.match(await sandbox.cli('policy', 'verify', 'many', ...both), { exitCode: 0 }, 'each allows what is not its own')
})

test('policy diff: what became allowed and refused, in words and as JSON', async (t) => {
  const { sandbox, file } = await withPolicy(t)
  const after = policy(
    [
      'read',
      'openat',
      'exit_group',
      'openat2',
      { name: 'socket', rules: [[{ index: 0, op: '==', value: 1 }], [{ index: 0, op: '==', value: 10 }]] },
    ],
    { name: 'after' },
  )
  writeFileSync(file('after.json'), encodePolicy(after))
  const { stdout, exitCode } = await sandbox.cli('policy', 'diff', 'web', file('after.json'))
  t.equal(exitCode, 1)
  t.match(stdout, /^x86_64: allowed now\n/)
  t.match(stdout, /\n {2}openat\n {6}ERRNO\(1\) -> ALLOW\n/)
  t.match(stdout, /\n {2}socket\n {6}ERRNO\(1\) -> ALLOW where\n {8}argument 0 is 10\n/)
  t.match(stdout, /\nx86_64: no longer allowed\n {2}write\n {6}ALLOW -> ERRNO\(1\)\n/)
  t.match(stdout, /\n {2}ioctl\n {6}ALLOW -> ERRNO\(1\) where\n {8}argument 1 & 0xffffffff is 0x5401 or 0x5413\n/)
  const json = JSON.parse((await sandbox.cli('policy', 'diff', 'web', file('after.json'), '--json')).stdout)
  t.match(
    json.changes.find(({ names }: { names: string[] }) => names[0] === 'openat'),
    {
      architecture: 'x86_64',
      numbers: [257, 257],
      change: 'allowed',
      before: 'ERRNO(1)',
      after: 'ALLOW',
      arguments: [[]],
    },
  )
  t.same(
    json.changes.filter(
      ({ names, change }: { names: string[]; change: string }) => names[0] === 'socket' && change === 'allowed',
    )[0].arguments,
    [[{ argument: 0, ranges: [['10', '10']] }]],
  )
})

test('policy diff: nothing differs between a policy, its filter and its profile; trouble is 2', async (t) => {
  const { sandbox, file } = await withPolicy(t)
  await sandbox.cli('compile', 'web', '-o', file('filter'))
  const same = { exitCode: 0, stderr: '', stdout: /mean the same$/ }
  t.match(await sandbox.cli('policy', 'diff', 'web', 'web'), same)
  t.match(await sandbox.cli('policy', 'diff', 'web', file('filter')), same)
  t.match(await sandbox.cli('policy', 'diff', file('filter'), sandbox.policyPath('web')), same)
  t.same(JSON.parse((await sandbox.cli('policy', 'diff', 'web', 'web', '--json')).stdout), {
    a: 'web',
    b: 'web',
    changes: [],
  })
  t.match(await sandbox.cli('policy', 'diff', 'web', 'absent'), { exitCode: 2, stderr: /\[POLICY_NOT_FOUND\]/ })
  t.match(await sandbox.cli('policy', 'diff', 'web', `${sandbox.directory}/none`), {
    exitCode: 2,
    stderr: /\[POLICY_NOT_FOUND\]/,
  })
  t.match(await sandbox.cli('policy', 'diff', 'web'), { exitCode: 2, stderr: /\[USAGE\]/ })
  const profile = {
    defaultAction: 'SCMP_ACT_ERRNO',
    architectures: ['SCMP_ARCH_X86_64'],
    syscalls: [{ names: ['read'], action: 'SCMP_ACT_ALLOW' }],
  }
  writeFileSync(file('profile.json'), JSON.stringify(profile))
  const { stdout, exitCode } = await sandbox.cli('policy', 'diff', file('profile.json'), 'web')
  t.equal(exitCode, 1)
  t.match(stdout, /allowed now\n(.*\n)* {2}write exit_group|allowed now\n(.*\n)* {2}write/)
  t.notMatch(stdout, /no longer allowed/)
})

test('policy diff: a filter that nobody can decide is trouble, not equal', async (t) => {
  const { sandbox, file } = await withPolicy(t)
  // ld args[0].low; add #1; jeq #0: allow, else errno.
  const instructions = [
    [0x20, 0, 0, 16],
    [0x04, 0, 0, 1],
    [0x15, 0, 1, 0],
    [0x06, 0, 0, 0x7fff0000],
    [0x06, 0, 0, 0x00050001],
  ]
  const bytes = Buffer.alloc(8 * instructions.length)
  for (const [index, [code, yes, no, k]] of instructions.entries()) {
    bytes.writeUInt16LE(code as number, 8 * index)
    bytes.writeUInt8(yes as number, 8 * index + 2)
    bytes.writeUInt8(no as number, 8 * index + 3)
    bytes.writeUInt32LE(k as number, 8 * index + 4)
  }
  writeFileSync(file('sum'), bytes)
  t.match(await sandbox.cli('policy', 'diff', file('sum'), file('sum')), {
    exitCode: 2,
    stderr: /instruction 1 .*\[FILTER_UNPROVED\]/,
  })
  t.match(await sandbox.cli('policy', 'verify', 'web', '--filter', file('sum')), {
    exitCode: 1,
    stdout: /cannot be proved: instruction 1/,
  })
  const simulated = await sandbox.cli('simulate', file('sum'), 'read', '0xffffffff')
  t.match(simulated.stdout, /^ALLOW /, 'but it can be run')
})

test('explain: the rule, the run, and what is missing', async (t) => {
  const { sandbox } = await withPolicy(t)
  const explain = async (...args: string[]) => (await sandbox.cli('explain', 'web', ...args)).stdout
  t.match(
    await explain('socket', '2'),
    /^x86_64 socket\(2\): allowed \(ALLOW\)\n {2}it is allowed where argument 0 == 2\n {2}first made by run a \(2026-11-21T00:00:00.000Z, \/usr\/sbin\/nginx\)$/,
  )
  t.match(
    await explain('socket', '10'),
    /refused \(ERRNO\(1\)\)\n.*certain arguments only, by its rules, and not with these:\n {4}argument 0 == 1; but argument 0 is 10\n/,
  )
  t.match(
    await explain('ioctl', '0', '0x5402'),
    /as it was learned.*\n(.*\n)*.*seen with 2 values of argument 1, widened \(balanced\)/,
  )
  t.match(
    await explain('read'),
    /with any arguments\n.*first made by run a .*\n.*and then by run b .*\n.*at most 7 times in one run/,
  )
  t.match(await explain('openat2'), /stands beside openat/)
  t.match(await explain('bind'), /refused \(ERRNO\(1\)\)\n {2}it is not in the policy: no run made it$/)
  t.match(await explain('9999'), /ENOSYS.*\n {2}it is newer than the policy, which knows numbers up to 471/)
  t.match(await explain('read', '--arch', 'x86'), /does not name this architecture.*\n.*it is allowed for x86_64/)
  t.match(await explain('bind', '--action', 'kill'), /refused \(KILL_PROCESS\)/)
  t.match(JSON.parse(await explain('socket', '1', '--json')), {
    name: 'socket',
    number: 41,
    verdict: 'allow',
    since: 'a',
  })
  for (const [args, message] of [
    [['opne'], /"opne" is no syscall of x86_64/],
    [['read', 'x'], /argument 0: "x" is no number/],
    [['read', '--arch', 'vax'], /--arch vax: expected x86_64/],
    [['read', '--arch', 'x86', '0x100000000'], /no number of 32 bits/],
  ] as const)
    t.match(await sandbox.cli('explain', 'web', ...args), { exitCode: 2, stderr: message })
})

test('simulate and disassemble', async (t) => {
  const { sandbox, file } = await withPolicy(t)
  mkdirSync(file('there'))
  await sandbox.cli('compile', 'web', '-o', file('there/filter'))
  for (const what of ['web', file('there/filter')]) {
    t.match(await sandbox.cli('simulate', what, 'socket', '1'), {
      exitCode: 0,
      stdout: 'ALLOW  x86_64 syscall 41(1): socket',
    })
    t.match(
      (await sandbox.cli('simulate', what, 'socket', '--', '-1')).stdout,
      /^ERRNO\(1\) .*41\(0xffffffffffffffff\)/,
    )
    t.match(
      (await sandbox.cli('simulate', what, 'read', '--arch', 'x32')).stdout,
      /^ERRNO\(1\) .*x32 syscall 1073741824\(\)/,
    )
  }
  t.match((await sandbox.cli('simulate', 'web', 'bind', '--action', 'kill')).stdout, /^KILL_PROCESS /)
  const { stdout } = await sandbox.cli('disassemble', 'web')
  t.equal((await sandbox.cli('disassemble', file('there/filter'))).stdout, stdout)
  const lines = stdout.split('\n')
  t.equal(lines.length, readFileSync(file('there/filter')).length / 8)
  t.match(lines[0], /^ 0 {2}ld {4}arch$/)
  t.match(stdout, /^ *\d+ {2}jeq {3}0xc000003e \(x86_64\) {2}\? \d+ : \d+$/m)
  t.match(stdout, /^ *\d+ {2}jeq {3}41 \(socket\) {2}\? \d+ : \d+$/m)
  t.match(stdout, /^ *\d+ {2}ld {4}args\[0\]\.low$/m)
  t.match(stdout, /^ *\d+ {2}ret {3}ALLOW$/m)
  t.match(stdout, /^ *\d+ {2}ret {3}ERRNO\(38\)$/m)
})
