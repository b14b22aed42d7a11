/** Lines about files and sockets -> the policy of the run. */
import { test } from 'tap'
import { policyOfRun } from '../../src/learn/run.ts'
import { decodeStream } from '../../src/learn/stream.ts'
import { corpus } from '../lib/imports.ts'

const whole = corpus('stream/paths.ndjson')
const names: Record<number, string> = { 42: 'connect', 257: 'openat', 426: 'io_uring_enter' }
const table = { nameOf: (_: string, nr: number) => names[nr] ?? 'read', highest: () => 471 }
const learned = (text: string) => policyOfRun('p', 'r', decodeStream(text), {}, table)

test('a whole record: each fact once, with the run', async (t) => {
  const { paths, runs } = learned(whole)
  t.match(runs, [{ detail: 'paths', complete: true }])
  t.same(runs[0]?.paths, { complete: true, left: 0, unreadable: 0, long: 0, folded: 1 })
  const file = (path: string) => paths?.files.filter((one) => one.path === path)
  t.same(file('/tmp/p/made'), [{ path: '/tmp/p/made', ok: ['write', 'create', 'change', 'locate'], since: 'r' }])
  t.same(file('/absent'), [{ path: '/absent', covers: 'all', failed: ['read'], since: 'r' }])
  t.ok(paths?.endpoints.some(({ port, outcomes }) => port === 44877 && outcomes.join() === 'ok,started'))
  t.same(
    paths?.programs.map(({ path }) => path),
    ['/bin/places', '/usr/bin/dash', '/usr/bin/ls', '/usr/bin/rm'],
  )
})

test('what makes the paths of a run partial, and what does not', async (t) => {
  const summary = '{"event":"paths","left":0,"unreadable":0,"long":0,"folded":1}'
  const partial: Record<string, string> = {
    'no end': whole.slice(0, whole.indexOf('{"event":"finish"')),
    'no summary': whole.replace(`${summary}\n`, ''),
    'no room': whole.replace(summary, summary.replace('"left":0', '"left":1')),
    'not readable': whole.replace(summary, summary.replace('"unreadable":0', '"unreadable":1')),
    'too long': whole.replace(summary, summary.replace('"long":0', '"long":1')),
    damaged: whole.replace('"event":"execute"', '"event":"execute","covers":1'),
    io_uring: whole
      .replace('"distinct":5', '"distinct":6')
      .replace('{"event":"seen"', '{"event":"seen","arch":"x86_64","nr":426}\n{"event":"seen"'),
  }
  for (const [why, text] of Object.entries(partial)) {
    t.not(text, whole, why)
    t.equal(learned(text).runs[0]?.paths?.complete, false, why)
  }
  // The calls are another matter.
  for (const why of ['no room', 'not readable', 'too long', 'io_uring', 'no summary'])
    t.equal(learned(partial[why] ?? '').complete, true, why)
  t.equal(learned(whole.replace('"folded":1', '"folded":9')).runs[0]?.paths?.complete, true)
})

test('a run without that detail has none, whatever its lines say', async (t) => {
  const policy = learned(whole.replace('"detail":"paths"', '"detail":"args"'))
  t.equal(policy.paths, undefined)
  t.equal(policy.runs[0]?.paths, undefined)
})

test('events: how many there were', async (t) => {
  const text = whole
    .replace('"detail":"paths"', '"detail":"events"')
    .replace('{"event":"count"', '{"event":"events","written":9,"dropped":4,"failed":0}\n{"event":"count"')
  t.match(learned(text).runs, [{ detail: 'events', events: { written: 9, dropped: 4, failed: 0 }, complete: true }])
  t.ok((learned(text).paths?.files.length ?? 0) > 5)
})
