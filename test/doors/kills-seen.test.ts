/** The tests that kill parts of containers would see a program without its filter: here is a door that lets one run. */
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { execa } from 'execa'
import { test } from 'tap'
import { type Container, OCI_SANDBOX, resultOf, Sandbox } from '../lib/sandbox.ts'
import type { Door } from './doors.ts'
import { killAtRandom } from './kills.ts'

/** Plain runc with a hook that succeeds whatever becomes of ours: when that is killed, the container runs without a filter. */
async function careless(t: Parameters<typeof Sandbox.create>[0]): Promise<Door> {
  const sandbox = await Sandbox.create(t)
  const tools = join(sandbox.directory, 'tools')
  mkdirSync(tools)
  const hook = join(tools, 'hook')
  writeFileSync(hook, `#!/bin/sh\n${OCI_SANDBOX} hook enforce --config ${sandbox.config}\nexit 0\n`)
  chmodSync(hook, 0o755)
  const runc = async (...args: string[]) =>
    resultOf(await execa('runc', sandbox.runcArgs(...args), { reject: false, stdin: 'ignore' }))
  return {
    sandbox,
    async begin(name, mode, args) {
      const container: Container = { args: ['/fixtures/act', ...args], writable: true }
      const hooks = { createRuntime: [{ path: hook, env: ['PATH=/usr/bin:/bin', 'BUN_JSC_useJIT=0'] }] }
      const asked = mode === 'plain' ? {} : { mode }
      const bundle = sandbox.bundle({ ...container, ...asked, ...(mode === 'enforce' ? { hooks } : {}) })
      return { ended: runc('run', '--bundle', bundle, name), words: () => [name, bundle] }
    },
    remove: (name) => runc('delete', '--force', name),
  }
}

test('a hook that is killed, and does not count', { timeout: 280_000 }, async (t) => {
  const door = await careless(t)
  const found: string[] = []
  // Which moments are met is chance; the container runs unfiltered whenever the hook was killed before it had attached.
  for (let times = 0; times < 20 && found.length === 0; times++) {
    const { unfiltered } = await killAtRandom(door, 10, ['hook', 'tracer'])
    found.push(...unfiltered)
  }
  t.ok(found.length > 0)
})
