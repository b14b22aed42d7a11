/** Documents that others may have written: JSON itself, policies, the host configuration, states, annotations, bundles, overlays. */
import { test } from 'tap'
import { decide } from '../../src/decide/decide.ts'
import { decodeSettings, withDefaults } from '../../src/decide/settings.ts'
import { SandboxError } from '../../src/errors.ts'
import { parseJson, parseObject } from '../../src/json.ts'
import { decodeAnnotations } from '../../src/oci/annotations.ts'
import { annotationsOf, decodeConfig, encodeConfig } from '../../src/oci/config.ts'
import { decodeState } from '../../src/oci/state.ts'
import { architecturesOf, decodePolicy, encodePolicy } from '../../src/policy/document.ts'
import { oneList } from '../../src/policy/export/one-list.ts'
import { exportOci } from '../../src/policy/export-oci.ts'
import { intersectPolicies } from '../../src/policy/intersect.ts'
import { lintPolicy } from '../../src/policy/lint.ts'
import { mergePolicies } from '../../src/policy/merge.ts'
import { applyOverlay, decodeOverlay } from '../../src/policy/overlay.ts'
import { policyReport } from '../../src/policy/report.ts'
import { withSiblings } from '../../src/policy/siblings.ts'
import { policyStatus } from '../../src/policy/status.ts'
import { translatePolicy } from '../../src/policy/translate.ts'
import { widenPolicy } from '../../src/policy/widen.ts'
import { NAMES } from '../lib/imports.ts'
import { policy } from '../lib/policies.ts'
import { fuzz, LONG } from './fuzz.ts'

const refuse = (problem: string): never => {
  throw new SandboxError('IMPORT_INVALID', problem)
}

function expect(holds: boolean, what: string): void {
  if (!holds) throw new Error(what)
}

test('JSON', LONG, async (t) => {
  fuzz(t, {
    name: 'json',
    corpus: 'json',
    share: 150_000,
    run(text) {
      const value = parseJson(text)
      const plain = JSON.parse(text)
      const rounded = JSON.stringify(value, (_, item) => (typeof item === 'bigint' ? Number(item) : item))
      expect(rounded === JSON.stringify(plain), 'JSON.parse reads something else')
    },
  })
})

test('policies', LONG, async (t) => {
  const other = policy([
    'read',
    'ptrace',
    { name: 'socket', rules: [[{ index: 0, op: 'range', value: 1, to: 9, mask: 0xffff_ffff }]] },
    { name: 'setpriority', rules: [[{ index: 2, op: '!=', value: 7 }]] },
  ])
  fuzz(t, {
    name: 'policy',
    corpus: 'policy',
    share: 120_000,
    run(text) {
      const found = decodePolicy(text, 'fuzz')
      const again = encodePolicy(found)
      expect(encodePolicy(decodePolicy(again, 'again')) === again, 'it is not the same when it is read again')
      const merged = encodePolicy(mergePolicies(found, other))
      decodePolicy(merged, 'merged')
      decodePolicy(encodePolicy(withSiblings(found, NAMES)), 'siblings')
      decodePolicy(encodePolicy(intersectPolicies(found, other, [])), 'intersected')
      policyStatus(found)
      policyReport(found)
      lintPolicy(found)
      for (const [from] of architecturesOf(found)) {
        for (const to of from === 'aarch64' ? (['x86_64', 'x86'] as const) : (['aarch64', 'arm'] as const)) {
          const made = translatePolicy(found, { from, to, widen: text.length % 2 === 0, siblings: true }, NAMES)
          decodePolicy(encodePolicy(made.policy), 'translated')
        }
      }
      exportOci(oneList(widenPolicy(found), NAMES), { action: 'errno', runtimeCalls: [] })
    },
  })
})

test('host configurations, states, annotations', LONG, async (t) => {
  fuzz(t, {
    name: 'config',
    corpus: 'config',
    share: 100_000,
    run: (text) => void withDefaults(decodeSettings(text, 'fuzz')),
  })
  fuzz(t, { name: 'state', corpus: 'state', share: 100_000, run: (text) => void decodeState(text) })
  fuzz(t, {
    name: 'annotations',
    corpus: 'state',
    share: 60_000,
    run(text) {
      const { annotations } = decodeState(text)
      decodeAnnotations(annotations)
      decide(annotations, withDefaults({}))
    },
  })
})

test('config.json of bundles', LONG, async (t) => {
  fuzz(t, {
    name: 'bundle',
    corpus: 'bundle',
    share: 70_000,
    run(text) {
      const config = decodeConfig(text, 'fuzz')
      annotationsOf(config)
      expect(
        encodeConfig(decodeConfig(encodeConfig(config), 'again')) === encodeConfig(config),
        'it changes on its way',
      )
    },
  })
})

test('overlays', LONG, async (t) => {
  const learned = policy(['read', 'write', { name: 'ioctl', rules: [[{ index: 1, op: '==', value: 5 }]] }])
  fuzz(t, {
    name: 'overlay',
    corpus: 'overlay',
    share: 50_000,
    run(text) {
      parseObject(text, refuse)
      const overlay = decodeOverlay(text, refuse)
      const made = applyOverlay(learned, overlay, [], NAMES, refuse).policy
      decodePolicy(encodePolicy(made), 'made')
    },
  })
})
