/** The tracer's records and the notes beside them: whatever a disk holds after a power failure becomes a policy that can be read. */
import { test } from 'tap'
import { decodeNote } from '../../src/learn/note.ts'
import { policyOfRun } from '../../src/learn/run.ts'
import { decodeStream } from '../../src/learn/stream.ts'
import { decodePolicy, encodePolicy } from '../../src/policy/document.ts'
import { SYSCALL_NAMES } from '../../src/policy/syscall-names.ts'
import { fuzz, LONG } from './fuzz.ts'

const NOTES = [
  '{"started":"2026-11-21T00:00:00.000Z","container":"c1","image":{"name":"web","digest":"sha256:' +
    'a'.repeat(64) +
    '"}}',
  '{"started":"2026-11-21T00:00:00.000Z","container":"c1"}\n',
]

test('records', LONG, async (t) => {
  fuzz(t, {
    name: 'stream',
    corpus: 'stream',
    share: 80_000,
    run(text) {
      const trace = decodeStream(text)
      const policy = policyOfRun('fuzz', 'run', trace, {}, SYSCALL_NAMES)
      try {
        decodePolicy(encodePolicy(policy), 'fuzz')
      } catch (error) {
        throw new Error(`the policy cannot be read: ${error}`)
      }
      if (trace.finish === undefined && policy.complete) throw new Error('complete without an end')
      if (trace.damage !== undefined && policy.complete) throw new Error('complete with damage')
    },
  })
})

test('notes', LONG, async (t) => {
  const trace = decodeStream('')
  fuzz(t, {
    name: 'note',
    corpus: NOTES,
    share: 30_000,
    run(text) {
      const policy = policyOfRun('fuzz', 'run', trace, decodeNote(text), SYSCALL_NAMES)
      try {
        decodePolicy(encodePolicy(policy), 'fuzz')
      } catch (error) {
        throw new Error(`the policy cannot be read: ${error}`)
      }
    },
  })
})
