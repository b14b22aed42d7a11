/** io.sandbox.detail=paths: what containers did to files and sockets stands in their policy, for people, on stock runc. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import type { PolicyDocument } from '../../src/generated/policy.ts'
import { Sandbox } from '../lib/sandbox.ts'

const detail = { annotations: { 'io.sandbox.detail': 'paths' }, writable: true }
const python = (script: string) => ['/usr/bin/python3', '-S', '-E', '-B', '-c', script]

const file = ({ paths }: PolicyDocument, path: string) => {
  const { since: _, ...rest } = paths?.files.find((one) => one.path === path) ?? { path: 'none' }
  return rest
}

test('files, endpoints and programs of several runs, and a filter that does not hold anyone to them', async (t) => {
  const sandbox = await Sandbox.create(t)
  const script = `
import os
open('/tmp/made', 'w').write('x'); os.rename('/tmp/made', '/tmp/moved')
try: open('/etc/none')
except OSError: os.posix_spawn('/fixtures/script', ['script'], {}); os.wait()
os.execv('/fixtures/act', ['act', 'unix'])
`
  t.match(await sandbox.run({ mode: 'learn', args: python(script), ...detail }), { exitCode: 0 })
  const first = await sandbox.policy()
  t.match(first, {
    complete: true,
    runs: [{ detail: 'paths', backend: 'ebpf', paths: { complete: true, left: 0, unreadable: 0, long: 0 } }],
  })
  t.same(file(first, '/tmp/made'), { path: '/tmp/made', ok: ['write', 'create', 'remove'] })
  t.same(file(first, '/tmp/moved'), { path: '/tmp/moved', ok: ['create'] })
  t.match(
    first.architectures.x86_64?.syscalls.find(({ name }) => name === 'socket')?.learned?.values,
    [[1]],
    'args too',
  )
  t.same(file(first, '/etc/none'), { path: '/etc/none', failed: ['read'] })
  t.same(file(first, '/fixtures/script'), { path: '/fixtures/script', ok: ['execute'] })
  t.match(
    first.paths?.programs.map(({ path }) => path),
    ['/fixtures/act', /^\/usr\/bin\/python3/],
  )

  const connect = 'import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect_ex(("127.0.0.1", 7))'
  t.match(await sandbox.run({ mode: 'learn', args: python(connect), ...detail }), { exitCode: 0 })
  t.match(await sandbox.run({ mode: 'learn', args: python('print(open("/tmp/moved").read())'), ...detail }), {
    stdout: 'x',
  })
  const all = await sandbox.policy()
  t.same(file(all, '/tmp/moved'), { path: '/tmp/moved', ok: ['read', 'create'] })
  t.equal(all.paths?.files.find(({ path }) => path === '/tmp/moved')?.since, all.runs[0]?.id, 'first seen')
  t.match(all.paths?.endpoints, [{ kind: 'connect', family: 'inet', address: '127.0.0.1', port: 7 }])

  const show = await sandbox.cli('policy', 'show', 'test')
  t.match(show.stdout, /\nseen, but not enforced: \d+ files, 1 endpoint, \d+ programs in 3 runs; --paths lists them/)
  for (const { stdout } of [
    await sandbox.cli('policy', 'show', 'test', '--paths'),
    await sandbox.cli('report', 'test'),
  ]) {
    t.match(stdout, 'seen, but not enforced (for people, as a seccomp filter cannot look at paths and addresses)')
    t.match(stdout, /^\/tmp\/moved +read,create +- +\d{4}-/m)
    t.match(stdout, /^connect 127\.0\.0\.1:7 +(ok|failed) +\d{4}-/m)
  }
  // /tmp/other was never seen, and is opened all the same.
  writeFileSync(join(sandbox.directory, 'rootfs/tmp/other'), 'other')
  const enforced = await sandbox.run({
    mode: 'enforce',
    args: python('print(open("/tmp/other").read())'),
    writable: true,
  })
  t.match(enforced, { stdout: 'other', exitCode: 0 })
})

test('names that steer a terminal are shown as what they are', async (t) => {
  const sandbox = await Sandbox.create(t)
  await sandbox.run({ mode: 'learn', args: python('open("/tmp/a\\033[2Jb*", "w")'), ...detail })
  const { stdout } = await sandbox.cli('policy', 'show', 'test', '--paths')
  t.match(stdout, '/tmp/a\\x1b[2Jb\\*')
  t.notMatch(stdout, '\x1b')
})

test('detail names keeps what earlier runs have said of paths', async (t) => {
  const sandbox = await Sandbox.create(t)
  await sandbox.run({ mode: 'learn', args: ['/fixtures/act', 'hello'], ...detail })
  const before = (await sandbox.policy()).paths
  await sandbox.run({ mode: 'learn', args: ['/fixtures/act', 'hello'] })
  const after = await sandbox.policy()
  t.same(after.paths, before)
  t.equal(after.runs.at(-1)?.paths, undefined)
})
