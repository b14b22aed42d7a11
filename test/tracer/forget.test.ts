/** forget: what was kept about a container is removed, and nothing else. */
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execa } from 'execa'
import { type Test, test } from 'tap'
import { TRACER } from '../lib/sandbox.ts'

const KEY = '0123456789abcdef0123456789abcdef'

function place(t: Test, key = KEY): { outside: string; directory: string } {
  const top = mkdtempSync(join(tmpdir(), 'oci-sandbox-test-'))
  t.teardown(() => rmSync(top, { recursive: true, force: true }))
  const outside = join(top, 'outside')
  const directory = join(top, 'containers', key)
  for (const path of [outside, join(directory, 'bundle')]) mkdirSync(path, { recursive: true })
  writeFileSync(join(outside, 'file'), 'x')
  for (const name of ['record.json', 'bundle/config.json', 'a name\n']) writeFileSync(join(directory, name), '{}')
  for (const name of ['link', 'bundle/link']) symlinkSync(outside, join(directory, name))
  return { outside, directory }
}

const forget = (args: readonly string[], more: object = {}) =>
  execa(TRACER, ['forget', ...args], { reject: false, input: '{"id":"c"}', env: {}, extendEnv: false, ...more })

test('the directory goes, also from inside, and links are not followed', async (t) => {
  const { outside, directory } = place(t)
  t.match(await forget([directory], { cwd: join(directory, 'bundle') }), { exitCode: 0, stdout: '', stderr: '' })
  t.notOk(existsSync(directory))
  t.ok(existsSync(join(outside, 'file')))
  t.match(await forget([directory]), { exitCode: 0, stderr: '' }, 'one that has gone already is no error')
})

test('other directories are refused', async (t) => {
  const { directory } = place(t)
  const other = place(t, 'x'.repeat(32)).directory
  for (const args of [[], [other], [`${directory}/`], [join(directory, '..')], [directory, directory], ['/']]) {
    t.match(await forget(args), { exitCode: 2, stderr: /expected a directory as oci-sandbox-runtime makes them/ })
  }
  t.ok(existsSync(directory))
  t.ok(existsSync(other))
  rmSync(directory, { recursive: true })
  symlinkSync(other, directory)
  t.match(await forget([directory]), { exitCode: 1, stderr: /^oci-sandbox-tracer: forget: cannot remove / }, 'a link')
})
