/** How the kernel counts programs: what we compute must be what it refuses. */
import { readFileSync } from 'node:fs'
import { test } from 'tap'
import { compileFilter } from '../../src/filter/compile.ts'
import { assemble } from '../../src/filter/layout/assemble.ts'
import { charged, KERNEL_BUDGET } from '../../src/filter/layout/budget.ts'
import { Graph } from '../../src/filter/layout/graph.ts'
import { seccompLibrary } from '../../src/filter/library.ts'
import type { Comparison } from '../../src/generated/policy.ts'
import { policy } from '../lib/policies.ts'
import { Random } from '../lib/random.ts'
import { stack } from './stack.ts'

const ALLOW = 0x7fff_0000
const ENOMEM = 12
const EINVAL = 22

/** Loads, and a return: each counts as it is, and the return for two. */
function filler(instructions: number): Uint8Array {
  const bytes = Buffer.alloc(8 * instructions)
  for (let at = 0; at < instructions - 1; at++) bytes.writeUInt16LE(0x20, at * 8)
  bytes.writeUInt16LE(0x06, 8 * (instructions - 1))
  bytes.writeUInt32LE(ALLOW, 8 * (instructions - 1) + 4)
  return bytes
}

/** Programs behind these that make the sum exactly `total`. */
function fill(programs: readonly Uint8Array[], total: number): Uint8Array[] {
  const all = [...programs]
  for (let rest = total - charged(all); rest > 0; rest = total - charged(all)) {
    // 4 for the stacking, 3 for the start, and one more for the return.
    const longest = Math.min(4096, rest - 8)
    all.push(filler(rest - 8 - longest < 16 && longest < rest - 8 ? longest - 16 : longest))
  }
  return all
}

const filters = Number(/^Seccomp_filters:\s*(\d+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? 0)
const skip = filters > 0 ? `this process has ${filters} filters already, whose size is unknown` : false

/** Programs with every kind of instruction that we and libseccomp write, and with constants on both sides of 2^31. */
function samples(): Record<string, Uint8Array[]> {
  const random = new Random(11)
  const rules = (count: number, bits: number): Comparison[][] =>
    Array.from({ length: count }, () => [
      { index: random.below(6), op: random.pick(['==', '!=', '<', '>=']), value: random.bigint(bits).toString() },
      { index: 1, op: 'masked==', value: 4, mask: 0xfff4 },
    ])
  const compile = (rules: Comparison[][]) =>
    compileFilter(seccompLibrary(), policy(['read', 'write', 'exit_group', { name: 'ioctl', rules }]), 'errno')
  const graph = new Graph()
  const jumps = Array.from({ length: 300 }, (_, k) => k).reduce(
    (no, k) =>
      graph.test(
        16,
        0xffff_ffff,
        '&',
        2 ** (k % 32),
        graph.return(ALLOW),
        graph.test(20, 0xff00, '>=', (k << 23) >>> 0, no, graph.return(ALLOW)),
      ),
    graph.return(ALLOW),
  )
  return {
    'names and a few rules': compile([[{ index: 0, op: '==', value: 5 }]]),
    '32-bit values': compile(rules(60, 32)),
    '64-bit values': compile(rules(60, 64)),
    'jumps over 255': [assemble(jumps)],
  }
}

for (const [name, programs] of Object.entries(samples())) {
  test(`the kernel takes exactly ${KERNEL_BUDGET} instructions, as we count them: ${name}`, { skip }, async (t) => {
    t.same(charged(fill(programs, KERNEL_BUDGET)), KERNEL_BUDGET)
    const full = stack(t, fill(programs, KERNEL_BUDGET).toReversed())
    t.ok(
      full.installed.every((result) => result === 0),
      `${full.installed}`,
    )
    const more = stack(t, fill(programs, KERNEL_BUDGET + 1).toReversed())
    t.same(
      more.installed.filter((result) => result !== 0),
      [-ENOMEM],
    )
  })
}

test('the kernel takes 4096 instructions in one program, and not one more', async (t) => {
  t.same(stack(t, [filler(4096)]).installed, [0])
  t.same(stack(t, [filler(4097)]).installed, [-EINVAL])
})
