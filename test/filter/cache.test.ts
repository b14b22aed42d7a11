/** The cache of compiled filters, with one program and with several. */
import { mkdtempSync, readdirSync, readlinkSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'tap'
import { cacheKey, FilterCache } from '../../src/filter/cache.ts'
import { lookUpFilter, type PolicySource } from '../../src/filter/lookup.ts'
import { encodePolicy } from '../../src/policy/document.ts'
import { policy } from '../lib/policies.ts'

interface Teardown {
  teardown(handler: () => unknown): void
}

function newCache(t: Teardown): FilterCache {
  const store = mkdtempSync(join(tmpdir(), 'oci-sandbox-cache-'))
  t.teardown(() => rmSync(store, { recursive: true, force: true }))
  return new FilterCache(store)
}

const KEY = cacheKey(Buffer.from('policy'), [])
const PROGRAMS = ['first', 'second', 'third'].map((text) => Buffer.from(text))

/** As they are found afterwards. */
function put(cache: FilterCache, programs: readonly Uint8Array[]) {
  const filter = cache.place(programs)
  cache.put(KEY, filter)
  return filter
}

test('what was put is found again, in its order', async (t) => {
  const cache = newCache(t)
  t.equal(cache.get(KEY), undefined)
  for (const programs of [
    PROGRAMS.slice(0, 1),
    PROGRAMS,
    PROGRAMS.toReversed(),
    [PROGRAMS[0], PROGRAMS[0]] as Buffer[],
  ]) {
    const stored = put(cache, programs)
    t.same(
      stored.map(({ program }) => program),
      programs,
    )
    t.same(cache.get(KEY), stored)
  }
  t.same(
    readdirSync(cache.directory).filter((name) => name.endsWith('.tmp')),
    [],
  )
})

test('what a process that had our pid left when it was killed does not matter', async (t) => {
  const cache = newCache(t)
  put(cache, PROGRAMS.slice(0, 1))
  for (const name of readdirSync(cache.directory))
    symlinkSync('left', join(cache.directory, `${name}.${process.pid}.tmp`))
  const stored = put(cache, PROGRAMS)
  t.same(cache.get(KEY), stored)
  t.same(readdirSync(cache.directory).length, 1 + PROGRAMS.length, 'and it is gone')
})

test('of several programs, none is used where one is missing, torn or another', async (t) => {
  const spoil: Record<string, (path: string) => void> = {
    missing: (path) => rmSync(path),
    torn: (path) => truncateSync(path, 3),
    another: (path) => writeFileSync(path, 'another'),
  }
  for (const [name, change] of Object.entries(spoil)) {
    for (const index of PROGRAMS.keys()) {
      const cache = newCache(t)
      change(put(cache, PROGRAMS)[index]?.path as string)
      t.equal(cache.get(KEY), undefined, `${name}: ${index}`)
      t.same(put(cache, PROGRAMS), cache.get(KEY), 'and it is mended by the next compilation')
    }
  }
})

test('a link that is not one of ours leads nowhere', async (t) => {
  const cache = newCache(t)
  put(cache, PROGRAMS)
  const link = join(cache.directory, KEY)
  const [sum] = readlinkSync(link).split('+')
  for (const text of ['', '+', `${sum}+`, `+${sum}`, `${sum}+../x`, `${sum} ${sum}`, `${sum}+${'0'.repeat(63)}`]) {
    rmSync(link)
    symlinkSync(text || '.', link)
    t.equal(cache.get(KEY), undefined, text)
  }
})

test('a policy is decoded and compiled only where its filter is not in the cache', async (t) => {
  const cache = newCache(t)
  const rules = Array.from({ length: 4000 }, (_, value) => [{ index: 1, op: '==' as const, value: value * 3 }])
  const document = policy(['read', { name: 'ioctl', rules }])
  let decoded = 0
  const source: PolicySource = {
    name: 'test',
    text: Buffer.from(encodePolicy(document)),
    decode: () => {
      decoded++
      return document
    },
  }
  const compiled = await lookUpFilter(cache, source, 'errno')
  t.ok(compiled.length > 1)
  const again = await lookUpFilter(cache, source, 'errno')
  t.same(
    again.map(({ path, program }) => [path, Buffer.from(program)]),
    compiled.map(({ path, program }) => [path, Buffer.from(program)]),
  )
  t.equal(decoded, 1)
  await lookUpFilter(cache, source, 'kill')
  t.equal(decoded, 2, 'another action is another filter')
})
