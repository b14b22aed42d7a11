/** Seccomp profiles of the OCI kind, SPO's, and systemd's filters. */
import { readFileSync } from 'node:fs'
import { test } from 'tap'
import { compileFilter } from '../../../src/filter/compile.ts'
import { seccompLibrary } from '../../../src/filter/library.ts'
import { policyOfImport } from '../../../src/policy/import/policy.ts'
import { allowed, collect, corpus, NAMES, PROVENANCE } from '../../lib/imports.ts'

const conditions = corpus('profile/conditions.json')
const equals = (index: number, value: number) => [{ index, op: '==', value }]

test('conditions are decided by architecture, capabilities and kernel', async (t) => {
  const plain = allowed(collect('oci', conditions))
  t.same(Object.keys(plain).sort(), ['x32', 'x86', 'x86_64'])
  const names = ['close', 'exit_group', 'ptrace', 'read', 'setns', 'write']
  t.same(
    plain.x86_64?.filter((call) => typeof call === 'string'),
    names,
  )
  t.same(
    plain.x86?.filter((call) => typeof call === 'string'),
    [...names, 'waitpid'].sort(),
  )
  const admin = allowed(collect('oci', conditions, { capabilities: new Set(['CAP_SYS_ADMIN']) }))
  t.ok(admin.x86_64?.includes('clone'), 'without rules')
  t.ok(admin.x86_64?.includes('mount'))
  t.notOk(allowed(collect('oci', conditions, { kernel: '4.7.10' })).x86_64?.includes('ptrace'))
  const arm = allowed(collect('oci', conditions, { architecture: 'aarch64' }))
  t.same(Object.keys(arm).sort(), ['aarch64', 'arm'])
  t.ok(arm.arm?.includes('arm_fadvise64_64'))
})

test('arguments: all of an entry, or alternatives where two look at one argument', async (t) => {
  const calls = allowed(collect('oci', conditions)).x86_64 ?? []
  const rules = Object.assign({}, ...calls.filter((call) => typeof call === 'object'))
  t.same(rules, {
    clone: [[{ index: 0, op: 'masked==', value: 0, mask: 2114060288 }]],
    ioctl: [equals(1, 21505), equals(1, 21506)],
    personality: [equals(0, 4294967295)],
    socket: [[{ index: 0, op: '!=', value: 16 }], [{ index: 2, op: '!=', value: 9 }]],
  })
})

test('what a policy cannot say is said', async (t) => {
  t.same(collect('oci', conditions).notes, [
    "calls that get SCMP_ACT_KILL_PROCESS there, and the policy's action here: setns",
    "calls that get errno 22 there, and the policy's action here: socket",
    "calls that get errno 38 there, and the policy's action here: clone3",
    'calls with the condition CAP_SYS_ADMIN: clone mount',
    'calls with the condition architecture arm or arm64: arm_fadvise64_64',
    'not a call of x32: waitpid',
    'not a call of x86_64: waitpid',
  ])
})

test('a list of what is refused becomes a list of what is allowed', async (t) => {
  const found = collect('oci', corpus('profile/denylist.json'))
  const calls = allowed(found).x86_64 ?? []
  const names = calls.filter((call) => typeof call === 'string')
  t.equal(calls.length, [...NAMES.all('x86_64')].length - 3, 'all but ptrace, kexec_load and clone')
  for (const name of ['ptrace', 'kexec_load', 'clone']) t.notOk(names.includes(name), name)
  t.same(
    calls.filter((call) => typeof call === 'object'),
    [
      { socket: [[{ index: 0, op: '!=', value: 40 }]] },
      { unshare: [[{ index: 0, op: 'masked==', value: 0, mask: 268435456 }]] },
    ],
  )
  t.match(found.notes.join('\n'), /in a way that a policy cannot say \(left out\): clone/)
})

test('what is refused on x86 is refused through socketcall and ipc, too', async (t) => {
  const text = JSON.stringify({
    defaultAction: 'SCMP_ACT_ALLOW',
    architectures: ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86'],
    syscalls: [{ names: ['socket', 'shmget'], action: 'SCMP_ACT_ERRNO' }],
  })
  const numbers = (call: unknown) =>
    JSON.stringify(call)
      .match(/"value":\d+/g)
      ?.map((one) => Number(one.slice(8)))
      .sort((a, b) => a - b)
  for (const found of [
    collect('oci', text),
    collect('systemd', 'SystemCallFilter=~socket shmget\nSystemCallArchitectures=x86 x86-64\n'),
  ]) {
    const calls = allowed(found)
    const rest = (name: string) => calls.x86?.find((call) => typeof call === 'object' && name in call)
    t.same(
      numbers(rest('socketcall')),
      Array.from({ length: 19 }, (_, index) => index + 2),
      'socket is 1',
    )
    t.notOk(numbers(rest('ipc'))?.includes(23), 'shmget')
    t.ok(numbers(rest('ipc'))?.includes(13), 'msgget')
    t.ok(calls.x86_64?.includes('bind'))
  }
})

test('values that do not fit an ABI leave their rule out there, and no more', async (t) => {
  const text = JSON.stringify({
    defaultAction: 'SCMP_ACT_ERRNO',
    architectures: ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86'],
    syscalls: [
      { names: ['read'], action: 'SCMP_ACT_ALLOW' },
      { names: ['fcntl'], action: 'SCMP_ACT_ALLOW', args: [{ index: 1, value: 2 ** 32, op: 'SCMP_CMP_EQ' }] },
      { names: ['fcntl'], action: 'SCMP_ACT_ALLOW', args: [{ index: 1, value: 3, op: 'SCMP_CMP_EQ' }] },
    ],
  })
  const found = collect('oci', text)
  t.same(allowed(found).x86, [{ fcntl: [equals(1, 3)] }, 'read'])
  t.same(allowed(found).x86_64, [{ fcntl: [equals(1, 3), equals(1, 2 ** 32)] }, 'read'])
  t.match(found.notes, ['an argument rule with values that do not fit 32 bits (x86): fcntl'])
})

test('what is no profile is refused, saying where', async (t) => {
  const entry = (more: object) =>
    JSON.stringify({
      defaultAction: 'SCMP_ACT_ERRNO',
      syscalls: [{ names: ['read'], action: 'SCMP_ACT_ALLOW', ...more }],
    })
  const cases: [text: string, message: RegExp][] = [
    ['', /expected a value/],
    ['[]', /expected a JSON object/],
    ['{"a":1,"a":2}', /duplicate key "a"/],
    ['{}', /\/defaultAction: expected SCMP_ACT_\.\.\., found nothing/],
    ['{"defaultAction":"ALLOW"}', /\/defaultAction: .*found "ALLOW"/],
    ['{"defaultAction":"SCMP_ACT_ERRNO","syscalls":{}}', /\/syscalls: expected a list/],
    ['{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[1]}', /\/syscalls\/0: expected an object/],
    ['{"defaultAction":"SCMP_ACT_ERRNO","architectures":["SCMP_ARCH_MIPS"]}', /none of SCMP_ARCH_MIPS/],
    ['{"defaultAction":"SCMP_ACT_ERRNO","architectures":["SCMP_ARCH_X86"],"archMap":[{}]}', /stands beside/],
    [entry({ onlyOn: 'mondays' }), /\/syscalls\/0: unknown key "onlyOn"/],
    [entry({ includes: { os: ['linux'] } }), /\/syscalls\/0\/includes: unknown key "os"/],
    [entry({ includes: { minKernel: 'new' } }), /minKernel: expected a version/],
    [entry({ names: [1] }), /names: expected a list of strings/],
    [entry({ action: 'ALLOW' }), /\/syscalls\/0\/action: "ALLOW" is no action/],
    [entry({ args: [{ index: 6, op: 'SCMP_CMP_EQ' }] }), /\/args\/0\/index/],
    [entry({ args: [{ index: 0, op: '==' }] }), /op: expected SCMP_CMP_\.\.\., found "=="/],
    [entry({ args: [{ index: 0, op: 'SCMP_CMP_EQ', value: -1 }] }), /value: expected an integer from 0/],
    [entry({ args: [{ index: 0, op: 'SCMP_CMP_EQ', value: 1.5 }] }), /value: expected an integer/],
    [entry({ args: [{ index: 0, op: 'SCMP_CMP_EQ', mask: 1 }] }), /args\/0: unknown key "mask"/],
  ]
  for (const [text, message] of cases) t.throws(() => collect('oci', text), { code: 'IMPORT_INVALID', message }, text)
})

test('a whole config.json is taken for its linux.seccomp', async (t) => {
  const config = JSON.stringify({
    ociVersion: '1.0.2',
    linux: { seccomp: JSON.parse(corpus('profile/recorded.json')) },
  })
  t.same(allowed(collect('oci', config)), allowed(collect('oci-seccomp-bpf-hook', corpus('profile/recorded.json'))))
})

test("podman's default profile can be compiled", async (t) => {
  const found = collect('oci', readFileSync('/usr/share/containers/seccomp.json', 'utf8'))
  t.equal(found.unknown.size, 0)
  const policy = policyOfImport('podman', found, PROVENANCE)
  t.same(Object.keys(policy.architectures), ['x32', 'x86', 'x86_64'])
  const calls = allowed(found).x86_64 ?? []
  t.ok(calls.length > 300 && calls.length < 340, `${calls.length} calls`)
  for (const name of ['bpf', 'kexec_load', 'init_module', 'chroot', 'acct']) t.notOk(calls.includes(name), name)
  const one = { ...policy, architectures: { x86_64: policy.architectures.x86_64 } }
  t.ok(compileFilter(seccompLibrary(), one as typeof policy, 'errno').length > 0)
})

test('spo: the profile in its YAML; the base profile is said to be missing', async (t) => {
  const found = collect('spo', corpus('spo/profile.yaml'))
  t.same(allowed(found), { x86_64: ['exit_group', 'read', { socket: [equals(0, 1)] }, 'write'] })
  t.match(found.notes, ['the base profile, which allows calls of its own: import it as well: runc-v1.1.5'])
  const cases: [text: string, message: RegExp][] = [
    ['kind: Pod', /\/kind: expected SeccompProfile/],
    ['kind: SeccompProfile', /\/spec: expected an object/],
    ['kind: SeccompProfile\nspec: {defaultAction: x}', /\/spec\/defaultAction/],
    ['a: [', /line 1/],
    ['a: 1\na: 2', /unique/],
    ['- 1', /expected an object/],
    ['', /expected an object/],
    ['a: &a [*a, *a]\nb: 1', /./],
  ]
  for (const [text, message] of cases) t.throws(() => collect('spo', text), { code: 'IMPORT_INVALID', message }, text)
  const big =
    'kind: SeccompProfile\nspec:\n  defaultAction: SCMP_ACT_ERRNO\n  syscalls: [{names: [fcntl], action: SCMP_ACT_ALLOW, args: [{index: 1, op: SCMP_CMP_EQ, value: 18446744073709551615}]}]\n'
  t.same(allowed(collect('spo', big)).x86_64, [{ fcntl: [[{ index: 1, op: '==', value: '18446744073709551615' }]] }])
})

test('systemd: groups are expanded, lines that begin with ~ take away, an error number refuses', async (t) => {
  const found = collect('systemd', corpus('systemd/unit'))
  t.same(allowed(found), {
    x86_64: ['close', 'exit_group', 'read', 'write'],
    x86: ['close', 'exit_group', 'read', 'write'],
  })
  const denied = allowed(collect('systemd', corpus('systemd/deny'))).x86_64 ?? []
  t.equal(denied.length, [...NAMES.all('x86_64')].length - 3)
  t.notOk(denied.includes('kexec_load'))
  const last = allowed(collect('systemd', 'SystemCallFilter=~ptrace\nSystemCallFilter=~mount \\')).x86_64 ?? []
  for (const name of ['ptrace', 'mount']) t.notOk(last.includes(name), `${name}, in a last line that would go on`)
  t.throws(() => collect('systemd', 'SystemCallFilter=@none'), { message: /line 1: the group @none is not known/ })
  t.throws(() => collect('systemd', '[Service]\n'), { message: /expected a line SystemCallFilter=/ })
  t.same([...collect('systemd', 'SystemCallFilter=read frobnicate').unknown], [['frobnicate', 'line 1']])
  t.same(allowed(collect('systemd', 'SystemCallFilter=read\nSystemCallFilter=\nSystemCallFilter=write')).x86_64, [
    'write',
  ])
})
