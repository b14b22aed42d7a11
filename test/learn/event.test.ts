import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { BACKENDS, isSound, RUN_DETAILS } from '../../src/learn/event.ts'
import { decodeNote } from '../../src/learn/note.ts'
import { decodeStream } from '../../src/learn/stream.ts'
import { corpus } from '../lib/imports.ts'

test("the names of a record are those of the policy's schema", async (t) => {
  const schema = JSON.parse(readFileSync(join(import.meta.dirname, '../../schema/policy.schema.json'), 'utf8'))
  const { backend, detail } = schema.definitions.run.properties
  t.same([...BACKENDS].sort(), [...backend.enum].sort())
  t.same([...RUN_DETAILS].sort(), [...detail.enum].sort())
})

test('every line that the tracer writes is sound', async (t) => {
  for (const name of ['names', 'args', 'paths']) {
    const text = corpus(`stream/${name}.ndjson`)
    t.equal(decodeStream(text).damage, undefined)
    for (const line of text.trimEnd().split('\n')) t.ok(isSound(JSON.parse(line)), line)
  }
})

test('a line that is JSON and yet not what the tracer writes is damage, and not in the trace', async (t) => {
  const [hello = '', , exec] = corpus('stream/names.ndjson').split('\n')
  const finish = corpus('stream/paths.ndjson').trimEnd().split('\n').at(-1) ?? ''
  const changed = (line: string, from: string, to: string) => {
    t.ok(line.includes(from), `${from} in ${line}`)
    return line.replace(from, to)
  }
  const lines = [
    '{"event":"seen","arch":"vax","nr":1}',
    '{"event":"seen","arch":"x86_64","nr":1.5}',
    '{"event":"count","arch":"x86_64","nr":1,"count":-1}',
    '{"event":"exec"}',
    '{"event":"program","exe":"/bin/true","sha256":"0"}',
    '{"event":"arguments","arch":"x86_64","nr":1,"arguments":[0,0],"values":[1,1]}',
    '{"event":"arguments","arch":"x86_64","nr":1,"arguments":[0],"values":[]}',
    '{"event":"finish","complete":true}',
    '{"event":"file","access":["read"],"path":"etc/hosts","ok":true}',
    '{"event":"file","access":[],"path":"/etc/hosts","ok":true}',
    '{"event":"file","access":["stat"],"path":"/etc/hosts","ok":true}',
    '{"event":"file","access":["read"],"path":"/etc/hosts","ok":null}',
    '{"event":"file","access":["read"],"path":"/etc","ok":true,"covers":"some"}',
    `{"event":"file","access":["read"],"path":"/${'a'.repeat(4096)}","ok":true}`,
    '{"event":"endpoint","kind":"accept","family":"inet","address":"::1","port":1,"ok":true}',
    '{"event":"endpoint","kind":"bind","family":"inet","address":"::1","port":65536,"ok":true}',
    '{"event":"endpoint","kind":"bind","family":"inet","address":"::1","ok":true}',
    '{"event":"endpoint","kind":"bind","family":"unix","ok":true}',
    '{"event":"endpoint","kind":"bind","family":"unix","path":"/a"}',
    '{"event":"execute"}',
    '{"event":"paths","left":-1,"unreadable":0,"long":0,"folded":0}',
    changed(hello, '"backend":"ptrace-syscall"', '"backend":"magic"'),
    changed(finish, '"backend":"ptrace-syscall"', '"backend":"magic"'),
    changed(finish, '"counts":"exact"', '"counts":"some"'),
    changed(finish, '"otherFilters":false', '"otherFilters":1'),
  ]
  for (const line of lines) {
    const trace = decodeStream(`${hello}\n${exec}\n${line}\n`)
    t.equal(trace.damage, 'line 3 of the record is damaged', line)
    t.match(trace, { calls: [], finish: undefined, hello: { backend: 'ptrace-syscall' } })
  }
})

test('notes: what is believed of them', async (t) => {
  const digest = `sha256:${'a'.repeat(64)}`
  const note = { started: '2026-11-21T00:00:00.000Z', container: 'c', image: { name: 'web', digest } }
  t.same(decodeNote(JSON.stringify(note)), note)
  for (const text of ['', '\0\0\0', '[]', '{"started":"now","container":7,"image":{"digest":"x"}}'])
    t.same(decodeNote(text), {}, text)
})
