/** The host configuration: its defaults, and what is wrong with it. */
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'tap'
import { loadSettings, withDefaults } from '../../src/decide/settings.ts'

function file(t: { teardown(handler: () => void): void }, text: string): string {
  const directory = mkdtempSync(join(tmpdir(), 'oci-sandbox-settings-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  const path = join(directory, 'config.json')
  writeFileSync(path, text)
  return path
}

test('every key may be left out', async (t) => {
  const defaults = {
    store: '/var/lib/oci-sandbox',
    modes: ['learn', 'enforce'],
    actions: ['errno', 'kill', 'log'],
    details: ['names', 'args', 'paths', 'events'],
    setNoNewPrivileges: false,
    siblings: true,
    runtime: 'runc',
    enforce: { method: 'auto' },
    learn: { backend: 'auto' },
    required: [],
    logLevel: 'info',
  }
  t.same(loadSettings(file(t, '{}')), defaults)
  t.same(loadSettings(file(t, '{"enforce":{},"learn":{},"required":[]}')), defaults)
  t.same(loadSettings(join(import.meta.dirname, '../../hooks/config.json')), defaults, 'the one that is installed')
})

test('docs/configuration.md shows the defaults', async (t) => {
  const text = readFileSync(join(import.meta.dirname, '../../docs/configuration.md'), 'utf8')
  const [defaults, strict] = [...text.matchAll(/```json\n([^`]*)```/g)].map(([, json]) => json ?? '')
  t.same(loadSettings(file(t, defaults ?? '')), withDefaults({}))
  t.match(loadSettings(file(t, strict ?? '')), {
    modes: ['enforce'],
    required: [{ podSandbox: true }, { mode: 'enforce' }],
  })
})

test('what is given is kept', async (t) => {
  const given = {
    store: '/srv/sandbox',
    modes: ['enforce'],
    actions: ['kill'],
    details: ['names'],
    setNoNewPrivileges: true,
    siblings: false,
    runtime: '/usr/bin/crun',
    enforce: { method: 'crun-bpf' },
    learn: { backend: 'ebpf' },
    required: [
      { podSandbox: true, mode: 'none' },
      { image: 'a/*', mode: 'learn' },
      { mode: 'enforce', policy: 'p' },
    ],
    logLevel: 'debug',
  } as const
  t.same(loadSettings(file(t, JSON.stringify(given))), given)
  t.same(withDefaults({ runtime: 'crun' }).runtime, 'crun')
})

test('every problem is named by its place', async (t) => {
  const cases: [text: string, ...problems: RegExp[]][] = [
    ['[]', /expected a JSON object/],
    ['{', /at 1:2/],
    ['{"store":"/a","store":"/b"}', /duplicate key "store" at 1:15/],
    ['{"mode":"enforce"}', /\/: unknown key "mode"/],
    ['{"enforce":{"methods":"exec"}}', /\/enforce: unknown key "methods"/],
    ['{"required":[{"mode":"learn","images":"x"}]}', /\/required\/0: unknown key "images"/],
    ['{"store":"x"}', /\/store: must be an absolute path, found "x"/],
    ['{"runtime":"./runc"}', /\/runtime: must be a name or an absolute path, found "\.\/runc"/],
    ['{"runtime":""}', /\/runtime: must be a name or an absolute path, found ""/],
    ['{"runtime":["runc"]}', /\/runtime: must be string, found \["runc"\]/],
    ['{"modes":["trace"]}', /\/modes\/0: "trace" is not one of learn, enforce/],
    ['{"actions":[]}', /\/actions: must NOT have fewer than 1 items/],
    ['{"enforce":{"method":"late"}}', /\/enforce\/method: "late" is not one of auto, exec, bundle, crun-bpf/],
    ['{"enforce":"exec"}', /\/enforce: must be object, found "exec"/],
    ['{"learn":{"backend":"strace"}}', /\/learn\/backend: "strace" is not one of auto, ebpf, ptrace-adaptive/],
    ['{"logLevel":"verbose"}', /\/logLevel: "verbose" is not one of error, warning, info, debug/],
    ['{"required":{"mode":"enforce"}}', /\/required: must be array/],
    ['{"required":[{}]}', /\/required\/0: must have required property 'mode'/],
    ['{"required":[{"mode":"must"}]}', /\/required\/0\/mode: "must" is not one of learn, enforce, none/],
    ['{"required":[{"mode":"learn","image":""}]}', /\/required\/0\/image: must NOT have fewer than 1 characters/],
    ['{"required":[{"mode":"learn","policy":"../x"}]}', /\/required\/0\/policy: must be a name \(a letter or digit/],
    ['{"required":[{"mode":"learn"},{"mode":"enforce"}]}', /\/required\/1: is never reached, as \/required\/0 matches/],
    ['{"required":[{"mode":"none","policy":"p"}]}', /\/required\/0\/policy: is never used/],
    ['{"runtime":1,"required":[{"mode":"x"}]}', /\/runtime: must be string/, /\/required\/0\/mode: "x" is not/],
  ]
  for (const [text, ...problems] of cases) {
    const path = file(t, text)
    for (const message of problems) t.throws(() => loadSettings(path), { code: 'HOST_CONFIG_INVALID', message }, text)
    t.throws(() => loadSettings(path), { message: `host configuration ${path}: ` }, 'the file is named')
  }
})

test('a file that is not there, or that others can write', async (t) => {
  t.throws(() => loadSettings('/nonexistent/config.json'), { code: 'HOST_CONFIG_INVALID', message: /--config FILE/ })
  const path = file(t, '{}')
  chmodSync(path, 0o666)
  t.throws(() => loadSettings(path), { code: 'STORE_UNSAFE' })
})
