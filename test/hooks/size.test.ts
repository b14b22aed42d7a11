/** What is kept of a run does not grow with the number of its calls. */
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { execa } from 'execa'
import { test } from 'tap'
import { Sandbox } from '../lib/sandbox.ts'

const CALLS = 10_000_000
/** Bytes. */
const MOST = 1_000_000

for (const detail of ['names', 'args']) {
  test(`a run of ten million calls, ${detail}: less than a megabyte, the record and the policy`, async (t) => {
    const sandbox = await Sandbox.create(t)
    const program = join(sandbox.directory, 'rootfs/fixtures/many-calls')
    await execa('gcc', ['-O1', '-static', '-o', program, join(import.meta.dirname, '../fixtures/many-calls.c')])
    const ended = await sandbox.run({
      mode: 'learn',
      noNewPrivileges: true, // so that any backend may use a filter
      args: ['/fixtures/many-calls', String(CALLS)],
      annotations: { 'io.sandbox.detail': detail },
      hooks: { createRuntime: [sandbox.hook('learn')] }, // without poststop the record stays until somebody looks
    })
    t.match(ended, { exitCode: 0, stderr: '' })
    const directory = join(sandbox.store, 'policies/test')
    const record = readdirSync(join(directory, 'runs')).map((name) => statSync(join(directory, 'runs', name)).size)
    t.equal(record.length, 2, 'the record, and what the hook wrote beside it')
    const policy = await sandbox.policy()
    const [run] = policy.runs
    t.match(run, { complete: true, detail })
    // A filter that lets known calls pass counts them no more.
    if (run?.counts !== 'at-least') t.ok(Number(run?.calls) > CALLS)
    const kept = [...record, statSync(sandbox.policyPath()).size].reduce((sum, size) => sum + size, 0)
    t.ok(kept < MOST, `${kept} bytes`)
    t.comment(
      `${detail}, ${run?.backend}: record ${record.join(' + ')}, policy ${statSync(sandbox.policyPath()).size} bytes`,
    )
  })
}
