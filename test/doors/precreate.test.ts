/** podman's stage precreate: the hook gets the whole config.json and hands a changed one on. */
import { execa } from 'execa'
import { test } from 'tap'
import { parseJson } from '../../src/json.ts'
import { needs } from '../lib/needs.ts'
import { annotated, container, hooksDirectory, podman } from '../lib/podman.ts'
import { OCI_SANDBOX, Sandbox } from '../lib/sandbox.ts'

for (const [name, others] of [
  ['precreate alone', []],
  ['precreate with the other manifests', ['learn', 'enforce']],
] as const) {
  test(`${name}: learn, enforce, refuse`, needs('podman'), async (t) => {
    const sandbox = await Sandbox.create(t)
    const directories = [
      hooksDirectory(sandbox, 'podman-hooks.d', ['precreate']),
      ...(others.length > 0 ? [hooksDirectory(sandbox, 'hooks.d', others)] : []),
    ]
    const options = directories.flatMap((directory) => ['--hooks-dir', directory])
    const door = { sandbox, globals: ['--cgroup-manager', 'cgroupfs', ...options] }
    const run = (more: string[], command: string) => podman(door, 'run', '--rm', ...container(sandbox, more, command))
    t.match(await run([], '/fixtures/act hello socket'), { exitCode: 0, stdout: 'hello: ok\nsocket: ok' })
    t.match(await run(annotated('learn'), '/fixtures/act hello exit 3'), { exitCode: 3, stdout: 'hello: ok' })
    const policy = await sandbox.policy()
    t.match(policy, { complete: true, runs: [{ program: { path: '/fixtures/act' } }] })
    t.equal(policy.runs.length, 1, 'learned once')
    t.match(await run(annotated('enforce'), '/fixtures/act hello socket'), {
      exitCode: 0,
      stdout: 'hello: ok\nsocket: Operation not permitted',
    })
    t.match(await run(annotated('enforce', 'absent'), '/fixtures/act hello'), { exitCode: 126, stdout: '' })
    t.match(sandbox.journal().at(-1), { event: 'refused', code: 'POLICY_NOT_FOUND', container: /^[0-9a-f]{64}$/ })
  })
}

test('what it does not change stays, to the last digit', async (t) => {
  const sandbox = await Sandbox.create(t)
  const args = [{ index: 0, op: 'SCMP_CMP_EQ', value: 18446744073709551615n, valueTwo: 9007199254740993n }]
  const config = (annotations: Record<string, string>) =>
    JSON.stringify(
      {
        ociVersion: '1.0.2',
        annotations,
        hooks: { prestart: [{ path: '/bin/true' }] },
        linux: { cgroupsPath: '/machine/libpod-x', seccomp: { syscalls: [{ names: ['x'], args }] } },
        unknown: { 'of-a-newer-version': [1.5, null, 'ä\u0000'] },
      },
      (_, value) =>
        typeof value === 'bigint'
          ? (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON(String(value))
          : value,
    )
  const precreate = async (input: string) => {
    const line = ['hook', 'precreate', '--config', sandbox.config]
    return await execa(OCI_SANDBOX, line, { input, reject: false, env: {}, extendEnv: false })
  }
  t.equal((await precreate(config({}))).stdout, config({}), 'not for us: handed on as it is')
  const learning = { 'io.sandbox.mode': 'learn', 'io.sandbox.policy': 'test' }
  const { stdout } = await precreate(config(learning))
  const changed = parseJson(stdout) as unknown as { hooks: Record<string, unknown[]> }
  const before = parseJson(config(learning)) as unknown as { hooks: object }
  t.match(changed.hooks.createRuntime, [{ args: ['oci-sandbox', 'hook', 'learn', '--config', sandbox.config] }])
  t.same({ ...changed, hooks: before.hooks }, before)
  t.same(changed.hooks.prestart, [{ path: '/bin/true' }])
  t.match(await precreate(config({ 'io.sandbox.mode': 'enforec' })), {
    exitCode: 1,
    stdout: '',
    stderr: /ANNOTATION_INVALID/,
  })
  t.match(await precreate('{"Hooks":{}}'), {
    exitCode: 1,
    stdout: '',
    stderr: /\/Hooks: write it hooks \[BUNDLE_INVALID\]/,
  })
  const decoy = { hooks: { createRuntime: [{ path: '/bin/true', Path: '/bin/false' }] } }
  t.match(await precreate(JSON.stringify(decoy)), {
    exitCode: 1,
    stdout: '',
    stderr: /\/hooks\/createRuntime\/0\/Path: write it path \[BUNDLE_INVALID\]/,
  })
  t.match(await precreate('{'), { exitCode: 1, stdout: '', stderr: /BUNDLE_INVALID/ })
})
