// The tracer's tree of names, which collapses step by step, against the policy's, which does so at once; and the form of paths.

import { join } from 'node:path'
import { execa } from 'execa'
import t from 'tap'
import { collapse, type TreeEntry, type TreeLimits } from '../../src/policy/name-tree.ts'
import { Random } from '../lib/random.ts'
import { fixtures } from './harness.ts'

const names = join(fixtures, 'names')
/** The fixture ends with its tree still in memory. */
const env = { ASAN_OPTIONS: 'detect_leaks=0' }
const COVERS = [undefined, 'names', 'all'] as const
const earlier = (): undefined => undefined

const partsOf = (path: string): string[] => (path === '/' ? [] : path.slice(1).split('/'))

/** What the lines add up to. */
const said = (lines: string[]): TreeEntry[] =>
  lines.map((line) => {
    const [, covers, bits, path] = line.match(/^(\d) (\d+) (\/.*)$/) as string[]
    const kind = COVERS[Number(covers)]
    return { parts: partsOf(path as string), bits: Number(bits), ...(kind === undefined ? {} : { covers: kind }) }
  })

const randomFacts = (random: Random): [number, string][] => {
  const [width, depth] = [1 + random.below(12), 1 + random.below(6)]
  return Array.from({ length: random.below(400) }, () => {
    const parts = Array.from({ length: random.below(depth + 1) }, () => {
      const part = String.fromCharCode(97 + random.below(width))
      return random.chance(0.02) ? part.repeat(100) : part
    })
    return [1 << random.below(3), `/${parts.join('/')}`]
  })
}

t.test('whatever the order, the same names are collapsed, and so are they in the policy', async (t) => {
  const random = new Random(5)
  let collapsed = 0
  for (let round = 0; round < 150; round++) {
    const facts = randomFacts(random)
    const limits: TreeLimits = {
      names: 2 + random.below(12),
      below: [40 + random.below(400), 20 + random.below(100), 10 + random.below(50), 10, 5 + random.below(20)],
    }
    const expected = collapse(
      facts.map(([bits, path]) => ({ parts: partsOf(path), bits })),
      limits,
      earlier,
    )
    if (expected.some(({ covers }) => covers !== undefined)) collapsed++
    const input = random.shuffled(facts).map(([bits, path]) => `${bits} ${path}\n`)
    const { stdout } = await execa(names, [limits.names, ...limits.below].map(String), { input: input.join(''), env })
    const lines = stdout.split('\n').filter((line) => line !== '')
    if (lines.length !== new Set(lines).size) return t.fail('a line is said twice', { round, lines })
    t.same(collapse(said(lines), limits, earlier), expected, `round ${round}`)
  }
  t.ok(collapsed > 50, `${collapsed} of 150 were collapsed`)
})

t.test('a million names in bounded memory and lines', async (t) => {
  const input = Array.from({ length: 1_000_000 }, (_, i) => `1 /a${i % 9}/${i % 1000}/b/${i % 77}/${i % 13}/name${i}\n`)
  const limits = ['128', '4096', '2048', '1024', '512', '256']
  const { stdout } = await execa(names, limits, { input: input.join(''), env })
  t.ok(stdout.split('\n').length < 5000)
})

t.test('the one form of a path', async (t) => {
  const forms: [string, string, string][] = [
    ['', '/a//b/./c/', '/a/b/c 0'],
    ['/x', '../y', '/y 1'],
    ['/x', '../../../z', '/z 1'],
    ['/root', '/../z', '/root/z 1'],
    ['/root', '../z', '/z 1'],
    ['/root', '/z', '/root/z 0'],
    ['/', '..', ' 1'],
    ['', '/...', '/... 0'],
    ['/proc', '12/task/34/x', '/proc/PID/task/TID/x 0'],
    ['/proc/12', 'fd/3', '/proc/PID/fd/3 0'],
    ['', '/proc/self/task/9', '/proc/self/task/TID 0'],
    ['', '/proc/12x', '/proc/12x 0'],
    ['', '/x/proc/12', '/x/proc/12 0'],
    ['/tmp', '', '/tmp 0'],
    ['', `/${'a'.repeat(4094)}`, `/${'a'.repeat(4094)} 0`],
    ['', `/${'a'.repeat(4095)}`, 'long'],
    [`/${'a'.repeat(4000)}`, 'b'.repeat(100), 'long'],
    [`/${'a'.repeat(4000)}`, `/${'b'.repeat(93)}`, `/${'a'.repeat(4000)}/${'b'.repeat(93)} 0`],
  ]
  for (const [base, path, form] of forms)
    t.equal((await execa(names, ['name', base, path], { env })).stdout, form, `${base} ${path}`.slice(0, 40))
})
