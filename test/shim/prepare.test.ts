/** What is changed in config.json, and what never is. */
import { test } from 'tap'
import { chooseMethod } from '../../src/enforce/method.ts'
import type { Profile } from '../../src/policy/export-oci.ts'
import { intersectOci } from '../../src/policy/intersect-oci.ts'
import { type Change, moveConfig, prepareConfig } from '../../src/shim/prepare.ts'

const BPF = 'run.oci.seccomp_bpf_data'
const early = { path: '/helper', args: ['helper', 'enforce', '--state'] }
const last = { path: '/bin/rm', args: ['rm', '/x'] }
const change: Change = {
  annotations: { 'io.sandbox.mode': 'enforce' },
  hooks: { createRuntime: [early], poststop: [last] },
  alike: [{ path: '/oci-sandbox', args: ['oci-sandbox', 'hook', 'enforce'] }],
  enforced: true,
}

test('hooks are appended, and one that does the same is enough', async (t) => {
  const docker = { path: '/docker', args: ['libnetwork-setkey'] }
  const prepared = prepareConfig({ hooks: { prestart: [docker], createRuntime: [docker] } }, change)
  t.match(prepared.hooks, { prestart: [docker], createRuntime: [docker, early], poststop: [last] })
  t.equal((prepared.hooks as { createRuntime: unknown[] }).createRuntime.length, 2)
  for (const stage of ['prestart', 'createRuntime']) {
    const hooks = { [stage]: [{ path: '/oci-sandbox', args: ['oci-sandbox', 'hook', 'enforce'] }] }
    t.same((prepareConfig({ hooks }, change).hooks as Record<string, unknown>)[stage], hooks[stage])
  }
  // Another program, or another configuration, is not the same.
  for (const other of [
    { path: '/tmp/oci-sandbox', args: ['oci-sandbox', 'hook', 'enforce'] },
    { path: '/oci-sandbox', args: ['oci-sandbox', 'hook', 'enforce', '--config', '/tmp/lax.json'] },
    { path: '/oci-sandbox' },
    'nonsense',
  ]) {
    const { createRuntime } = prepareConfig({ hooks: { createRuntime: [other] } }, change).hooks as {
      createRuntime: []
    }
    t.match(createRuntime, [other, early])
  }
  t.match(prepareConfig({}, change), {
    hooks: { createRuntime: [early] },
    annotations: { 'io.sandbox.mode': 'enforce' },
  })
})

test("a program of the user's for crun is taken out where the container is enforced", async (t) => {
  const config = { annotations: { [BPF]: 'BgAAAAAA/38=', other: 'x' } }
  const given = { ...change, annotations: config.annotations }
  t.same(prepareConfig(config, given).annotations, { other: 'x' })
  t.same(prepareConfig(config, { ...given, crunBpf: 'ours' }).annotations, { other: 'x', [BPF]: 'ours' })
  t.same(prepareConfig(config, { ...given, enforced: false }).annotations, config.annotations)
})

test('in another directory relative paths are still those of the bundle', async (t) => {
  const mounts = [
    { destination: '/a', type: 'bind', source: 'data' },
    { destination: '/b', source: '../up', options: ['rbind', 'ro'] },
    { destination: '/c', type: 'bind', source: '/abs' },
    { destination: '/proc', type: 'proc', source: 'proc' },
  ]
  t.same(moveConfig({ root: { path: 'rootfs', readonly: true }, mounts }, '/srv/b'), {
    root: { path: '/srv/b/rootfs', readonly: true },
    mounts: [{ ...mounts[0], source: '/srv/b/data' }, { ...mounts[1], source: '/srv/up' }, mounts[2], mounts[3]],
  })
  t.same(moveConfig({ root: { path: '/r' } }, '/srv/b'), { root: { path: '/r' } })
})

const whole = (...names: string[]) => ({ names, action: 'SCMP_ACT_ALLOW' as const })
const ours = (...syscalls: Profile['syscalls']): Profile => ({
  ...{ defaultAction: 'SCMP_ACT_ERRNO', defaultErrnoRet: 1, architectures: ['SCMP_ARCH_X86_64'], syscalls },
})
const args = [{ index: 0, value: 1n, valueTwo: 0n, op: 'SCMP_CMP_EQ' }]

test('two profiles: what both allow, or less', async (t) => {
  const deny = 'SCMP_ACT_ERRNO'
  const both = (theirs: unknown, ...mine: Profile['syscalls']) => intersectOci(ours(...mine), theirs).syscalls
  const allowing = { defaultAction: 'SCMP_ACT_ALLOW' }
  t.same(both(allowing, whole('read', 'write')), [whole('read', 'write')], 'they allow everything')
  t.same(both({ defaultAction: deny }, whole('read')), [], 'they allow nothing')
  t.same(both({}, whole('read')), [], 'they say nothing that can be understood')
  t.same(both({ ...allowing, syscalls: [{ names: ['read'], action: deny }] }, whole('read', 'write')), [whole('write')])
  const conditionally = { defaultAction: deny, syscalls: [{ names: ['read', 'open'], action: 'SCMP_ACT_ALLOW', args }] }
  t.same(both(conditionally, whole('read')), [{ ...whole('read'), args }], 'their condition')
  t.same(both(conditionally, { ...whole('read'), args }), [], 'two conditions cannot be joined')
  const always = { defaultAction: deny, syscalls: [{ names: ['read'], action: 'SCMP_ACT_ALLOW' }] }
  t.same(both(always, { ...whole('read'), args }), [{ ...whole('read'), args }], 'our condition')
  // Denied for some arguments, allowed otherwise: not at all.
  const partly = { ...allowing, syscalls: [{ names: ['read'], action: deny, args }] }
  t.same(both(partly, whole('read')), [])
  const notify = { ...allowing, syscalls: [{ names: ['mount'], action: 'SCMP_ACT_NOTIFY' }] }
  t.same(both(notify, whole('mount', 'read')), [whole('read')])
})

test('two profiles: neither their architectures nor what they refuse becomes more', async (t) => {
  const theirs = { defaultAction: 'SCMP_ACT_ERRNO', architectures: ['SCMP_ARCH_X86'], syscalls: [whole('read')] }
  const abis = (names: unknown) =>
    intersectOci(
      { ...ours(whole('read')), architectures: ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86', 'SCMP_ARCH_X32'] },
      { ...theirs, architectures: names },
    ).architectures
  t.same(abis(theirs.architectures), ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86'], "the machine's own is in every filter")
  t.same(abis(undefined), ['SCMP_ARCH_X86_64'])
  t.throws(() => intersectOci({ ...ours(whole('read')), architectures: ['SCMP_ARCH_ARM'] }, theirs), {
    ...{ code: 'NOT_PERMITTED', message: /no architecture that the bundle's own linux\.seccomp has/ },
  })
  t.throws(() => intersectOci({ ...ours(whole('read')), defaultAction: 'SCMP_ACT_LOG' }, theirs), {
    ...{ code: 'NOT_PERMITTED', message: /io\.sandbox\.action=log .*: what that refuses would pass/ },
  })
})

test('the way into force', async (t) => {
  const request = { asked: 'auto', runtime: '/usr/sbin/runc', seccomp: false, traces: true } as const
  t.equal(chooseMethod(request), 'exec')
  t.equal(chooseMethod({ ...request, traces: false }), 'bundle')
  t.equal(chooseMethod({ ...request, traces: false, runtime: '/usr/bin/crun' }), 'crun-bpf')
  t.equal(chooseMethod({ ...request, traces: false, runtime: '/usr/bin/crun', seccomp: true }), 'bundle')
  t.equal(chooseMethod({ ...request, traces: false, runtime: undefined }), 'bundle')
  t.equal(chooseMethod({ ...request, asked: 'bundle' }), 'bundle')
  t.throws(() => chooseMethod({ ...request, asked: 'crun-bpf' }), { code: 'NOT_PERMITTED' })
  t.throws(() => chooseMethod({ ...request, asked: 'crun-bpf', runtime: undefined }), { code: 'NOT_PERMITTED' })
  t.throws(() => chooseMethod({ ...request, asked: 'crun-bpf', runtime: '/usr/bin/crun', seccomp: true }), {
    code: 'NOT_PERMITTED',
  })
})
