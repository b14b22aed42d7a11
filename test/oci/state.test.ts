import { test } from 'tap'
import { decodeState } from '../../src/oci/state.ts'

const valid = { ociVersion: '1.0.2', id: 'c1', status: 'creating', pid: 42, bundle: '/b', annotations: { a: 'b' } }

test('the states that runc and crun write are decoded', async (t) => {
  t.same(decodeState(JSON.stringify(valid)), {
    id: 'c1',
    status: 'creating',
    pid: 42,
    bundle: '/b',
    annotations: { a: 'b' },
  })
  t.same(
    decodeState(JSON.stringify({ ...valid, status: 'stopped', pid: undefined, annotations: undefined, root: '/r' })),
    {
      id: 'c1',
      status: 'stopped',
      bundle: '/b',
      annotations: {},
    },
  )
})

test('what is not a state is refused, saying what and where', async (t) => {
  const cases: [text: string, message: RegExp][] = [
    ['', /expected a value, found the end of the text/],
    ['{"id":"c1",', /at 1:12/],
    ['null', /expected a JSON object/],
    ['{"id":"a","id":"b"}', /duplicate key "id"/],
    [JSON.stringify({ ...valid, id: undefined }), /\/id: expected the container id/],
    [JSON.stringify({ ...valid, status: 'paused' }), /\/status: expected one of creating, created, running, stopped/],
    [JSON.stringify({ ...valid, bundle: 'relative' }), /\/bundle: expected an absolute path/],
    [JSON.stringify({ ...valid, pid: '42' }), /\/pid: expected a process id/],
    [JSON.stringify({ ...valid, pid: -1 }), /\/pid/],
    [JSON.stringify({ ...valid, pid: 1.5 }), /\/pid/],
    [JSON.stringify({ ...valid, annotations: [] }), /\/annotations: expected an object/],
    [JSON.stringify({ ...valid, annotations: { x: 1 } }), /\/annotations\/x: expected a string/],
  ]
  for (const [text, message] of cases) t.throws(() => decodeState(text), { code: 'STATE_INVALID', message }, text)
})
