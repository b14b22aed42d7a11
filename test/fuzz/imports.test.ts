/** What other programs recorded or wrote. */
import { test } from 'tap'
import { SandboxError } from '../../src/errors.ts'
import { oneList } from '../../src/policy/export/one-list.ts'
import { exportOci } from '../../src/policy/export-oci.ts'
import type { ImportFormat } from '../../src/policy/import/formats.ts'
import { addKernelCalls, policyOfImport } from '../../src/policy/import/policy.ts'
import { readGroups } from '../../src/policy/import/systemd.ts'
import { RUNTIME_CALLS } from '../../src/policy/runtime-calls.ts'
import { collect, PROVENANCE } from '../lib/imports.ts'
import { fuzz, LONG } from './fuzz.ts'

/** What is imported is a policy that can be read again; what may be refused is refused. */
function run(format: Exclude<ImportFormat, 'policy'>) {
  return (text: string) => {
    const collector = collect(format, text)
    addKernelCalls(collector)
    let policy: ReturnType<typeof policyOfImport>
    try {
      policy = policyOfImport('fuzz', collector, PROVENANCE)
    } catch (error) {
      // A reader must not put together what no policy can hold.
      throw new Error(`not a policy: ${error instanceof SandboxError ? error.message : error}`)
    }
    if (format === 'oci') exportOci(oneList(policy, collector.names), { action: 'errno', runtimeCalls: RUNTIME_CALLS })
  }
}

test('strace', LONG, async (t) => fuzz(t, { name: 'strace', corpus: 'strace', share: 60_000, run: run('strace') }))
test('audit lines', LONG, async (t) => fuzz(t, { name: 'audit', corpus: 'audit', share: 50_000, run: run('audit') }))
test('Tracee events', LONG, async (t) =>
  fuzz(t, { name: 'tracee', corpus: 'tracee', share: 50_000, run: run('tracee') }),
)
test('profiles', LONG, async (t) => fuzz(t, { name: 'oci', corpus: 'profile', share: 60_000, run: run('oci') }))
test('SeccompProfiles', LONG, async (t) => fuzz(t, { name: 'spo', corpus: 'spo', share: 20_000, run: run('spo') }))
test('systemd units', LONG, async (t) => {
  fuzz(t, { name: 'systemd', corpus: 'systemd', share: 40_000, run: run('systemd') })
  fuzz(t, { name: 'groups', corpus: 'systemd', share: 10_000, run: (text) => void readGroups(text) })
})
