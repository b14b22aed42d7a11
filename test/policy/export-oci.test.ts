import { test } from 'tap'
import type { PolicyDocument } from '../../src/generated/policy.ts'
import { oneList } from '../../src/policy/export/one-list.ts'
import { type ExportOptions, exportOci as exportList } from '../../src/policy/export-oci.ts'
import { RUNTIME_CALLS } from '../../src/policy/runtime-calls.ts'
import { NAMES } from '../lib/imports.ts'
import { policy } from '../lib/policies.ts'

const exportOci = (policy: PolicyDocument, options: ExportOptions) => exportList(oneList(policy, NAMES), options)
const options = { action: 'errno', runtimeCalls: RUNTIME_CALLS } as const

test("a profile holds the policy's calls and the runtimes'", async (t) => {
  const profile = exportOci(policy(['read', 'nanosleep']), options)
  t.match(profile, { defaultAction: 'SCMP_ACT_ERRNO', defaultErrnoRet: 1, architectures: ['SCMP_ARCH_X86_64'] })
  t.same(profile.syscalls[0]?.names, [...new Set([...RUNTIME_CALLS, 'nanosleep', 'read'])].sort())
  const alone = exportOci(policy(['read', 'nanosleep']), { ...options, runtimeCalls: [] })
  t.same(alone.syscalls, [{ names: ['nanosleep', 'read'], action: 'SCMP_ACT_ALLOW' }])
})

test('actions', async (t) => {
  t.equal(exportOci(policy(['read']), { ...options, action: 'kill' }).defaultAction, 'SCMP_ACT_KILL_PROCESS')
  t.equal(exportOci(policy(['read']), { ...options, action: 'log' }).defaultAction, 'SCMP_ACT_LOG')
})

test('argument rules are alternatives, each an entry of its own', async (t) => {
  const rules = [
    [{ index: 0, op: '==' as const, value: 1 }],
    [{ index: 0, op: 'masked==' as const, value: 2, mask: '0xff' }],
  ]
  const profile = exportOci(policy([{ name: 'socket', rules }]), options)
  t.same(profile.syscalls.slice(1), [
    { names: ['socket'], action: 'SCMP_ACT_ALLOW', args: [{ index: 0, value: 1n, valueTwo: 0n, op: 'SCMP_CMP_EQ' }] },
    {
      names: ['socket'],
      action: 'SCMP_ACT_ALLOW',
      args: [{ index: 0, value: 255n, valueTwo: 2n, op: 'SCMP_CMP_MASKED_EQ' }],
    },
  ])
})

test('what a profile cannot say is refused, not widened', async (t) => {
  const both = policy([], {
    architectures: {
      x86_64: { known: 471, syscalls: [{ name: 'read' }] },
      x86: { known: 471, syscalls: [{ name: 'write' }] },
    },
  })
  t.throws(() => exportOci(both, options), {
    code: 'EXPORT_IMPOSSIBLE',
    message: /a list each for x86 and x86_64, which differ in .*; choose one with --architecture/,
  })
  t.throws(() => exportOci(policy(['read', { number: 999 }]), options), {
    code: 'EXPORT_IMPOSSIBLE',
    message: /syscall number 999/,
  })
  t.throws(() => exportOci(policy([], { architectures: {} }), options), {
    code: 'EXPORT_IMPOSSIBLE',
    message: /it allows nothing/,
  })
})
