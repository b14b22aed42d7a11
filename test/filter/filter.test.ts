import { readFileSync } from 'node:fs'
import { test } from 'tap'
import { RET_ALLOW, RET_ERRNO, RET_KILL_PROCESS, RET_LOG } from '../../src/filter/actions.ts'
import { compileFilter } from '../../src/filter/compile.ts'
import { resolvePolicy } from '../../src/filter/evaluate.ts'
import { seccompLibrary } from '../../src/filter/library.ts'
import { proveFilter } from '../../src/filter/prove.ts'
import { Simulator } from '../../src/filter/simulate.ts'
import type { AllowedSyscall, Comparison } from '../../src/generated/policy.ts'
import { SYSCALL_NAMES } from '../../src/policy/syscall-names.ts'
import { policy } from '../lib/policies.ts'
import { Random } from '../lib/random.ts'

/** AUDIT_ARCH_X86_64, AUDIT_ARCH_I386, AUDIT_ARCH_AARCH64 of linux/audit.h. */
const X86_64 = 0xc000003e
const I386 = 0x40000003
const AARCH64 = 0xc00000b7
const X32_BIT = 0x40000000

const EPERM = RET_ERRNO | 1
const ENOSYS = RET_ERRNO | 38
const library = seccompLibrary()

/** What the filter of a policy returns for a call. */
function filterOf(
  ...[allowed, violation = 'errno', more = {}]: [Parameters<typeof policy>[0], ('errno' | 'kill' | 'log')?, object?]
) {
  const simulator = new Simulator(compileFilter(library, policy(allowed, more), violation))
  return (number: number, args: bigint[] = [], arch = X86_64) => simulator.run({ arch, number, args })
}

test('what is allowed passes, what is not gets EPERM, what is newer ENOSYS', async (t) => {
  const run = filterOf(['read', 'exit_group'])
  t.equal(run(0), RET_ALLOW)
  t.equal(run(231), RET_ALLOW)
  for (const number of [1, 59, 230, 232, 335, 471]) t.equal(run(number), EPERM, String(number))
  for (const number of [472, 1000, X32_BIT - 1]) t.equal(run(number), ENOSYS, String(number))
})

test('calls of other ABIs are refused like any violation', async (t) => {
  const run = filterOf(['read', 'exit_group'])
  for (const number of [0, 3, 1000]) {
    t.equal(run(number, [], I386), EPERM)
    t.equal(run(number, [], AARCH64), EPERM)
    t.equal(run(X32_BIT + number), EPERM, 'x32')
  }
  t.equal(filterOf(['read'], 'kill')(3, [], I386), RET_KILL_PROCESS)
})

test('actions', async (t) => {
  t.equal(filterOf(['read'], 'kill')(1), RET_KILL_PROCESS)
  t.equal(filterOf(['read'], 'kill')(500), ENOSYS, 'newer calls get ENOSYS also where violations are killed')
  t.equal(filterOf(['read'], 'log')(1), RET_LOG)
  t.equal(filterOf(['read'], 'log')(500), RET_LOG, '"log" refuses nothing')
})

test('the border of "known": -1, 0, +1, and what is allowed beyond it', async (t) => {
  const architectures = { x86_64: { known: 400, syscalls: [{ name: 'read' }, { number: 410 }, { number: 99_999 }] } }
  const run = filterOf([], 'errno', { architectures })
  t.same(
    [399, 400, 401, 409, 410, 411].map((number) => run(number)),
    [EPERM, EPERM, ENOSYS, ENOSYS, RET_ALLOW, ENOSYS],
  )
  t.same(
    [99_998, 99_999, 100_000].map((number) => run(number)),
    [ENOSYS, RET_ALLOW, ENOSYS],
  )
  const older = filterOf([], 'errno', { architectures: { x86_64: { known: 400, syscalls: [{ name: 'read' }] } } })
  t.same(
    [399, 400, 401].map((number) => older(number)),
    [EPERM, EPERM, ENOSYS],
  )
})

test('each architecture has its own list', async (t) => {
  const architectures = {
    x86_64: { known: 471, syscalls: [{ name: 'read' }] },
    x86: { known: 471, syscalls: [{ name: 'write' }, { name: 'socketcall' }] },
    x32: { known: X32_BIT + 547, syscalls: [{ name: 'close' }] },
  }
  const run = filterOf([], 'errno', { architectures })
  t.same([run(0), run(1), run(3)], [RET_ALLOW, EPERM, EPERM])
  t.same(
    [run(3, [], I386), run(4, [], I386), run(102, [], I386), run(359, [], I386)],
    [EPERM, RET_ALLOW, RET_ALLOW, EPERM],
  )
  t.same([run(X32_BIT), run(X32_BIT + 3)], [EPERM, RET_ALLOW])
  t.same([run(472, [], I386), run(X32_BIT + 548), run(472)], [ENOSYS, ENOSYS, ENOSYS])
})

test('argument rules: each allowed and one beside it', async (t) => {
  const big = 2n ** 63n + 5n
  const cases: [rule: Comparison[], allowed: bigint[][], refused: bigint[][]][] = [
    [[{ index: 0, op: '==', value: 2 }], [[2n]], [[1n], [3n], [2n + 2n ** 32n], [0n]]],
    [[{ index: 2, op: '!=', value: 2 }], [[0n, 0n, 1n], [2n]], [[0n, 0n, 2n]]],
    [
      [{ index: 1, op: '<', value: 10 }],
      [[0n, 9n]],
      [
        [0n, 10n],
        [0n, 2n ** 32n],
      ],
    ],
    [[{ index: 1, op: '<=', value: 10 }], [[0n, 10n]], [[0n, 11n]]],
    [[{ index: 5, op: '>', value: big.toString() }], [[0n, 0n, 0n, 0n, 0n, big + 1n]], [[0n, 0n, 0n, 0n, 0n, big]]],
    [[{ index: 0, op: '>=', value: big.toString() }], [[big]], [[big - 1n]]],
    [[{ index: 0, op: 'masked==', value: 2, mask: '0xf' }], [[0x12n], [0xff2n]], [[0x13n], [3n]]],
    [
      [
        { index: 0, op: '==', value: 1 },
        { index: 1, op: '==', value: 2 },
      ],
      [[1n, 2n]],
      [
        [1n, 3n],
        [2n, 2n],
      ],
    ],
  ]
  for (const [rule, allowed, refused] of cases) {
    const run = filterOf(['read', { name: 'ioctl', rules: [rule] }])
    for (const args of allowed) t.equal(run(16, args), RET_ALLOW, `${JSON.stringify(rule)}: ${args}`)
    for (const args of refused) t.equal(run(16, args), EPERM, `${JSON.stringify(rule)}: ${args}`)
  }
})

test('names that are no syscalls are all named', async (t) => {
  t.throws(() => compileFilter(library, policy(['read', 'opne', 'wrte']), 'errno'), {
    code: 'POLICY_INVALID',
    message: /opne is no syscall of x86_64; .*wrte is no syscall of x86_64/,
  })
})

test('a policy that allows nothing is refused', async (t) => {
  t.throws(() => compileFilter(library, policy([], { architectures: {} }), 'errno'), { code: 'POLICY_EMPTY' })
  t.throws(() => compileFilter(library, policy([]), 'errno'), { code: 'POLICY_EMPTY' })
})

test('calls that were made often come first', async (t) => {
  const place = (count: number) => {
    const bytes = Buffer.from(
      compileFilter(
        library,
        policy(['brk', 'close', { name: 'read', count }, { name: 'write', count: 50 }]),
        'errno',
      )[0] ?? [],
    )
    const position = (number: number) => {
      for (let at = 0; at < bytes.length; at += 8)
        if (bytes.readUInt16LE(at) === 0x15 && bytes.readUInt32LE(at + 4) === number) return at
      return -1
    }
    return position(0) < position(1)
  }
  t.ok(place(99))
  t.notOk(place(1))
})

test('the same policy is the same filter', async (t) => {
  const once = compileFilter(library, policy(['read', 'write', 'openat']), 'errno')
  t.same(compileFilter(library, policy(['openat', 'write', 'read']), 'errno'), once)
})

test('the proof finds a filter that means something else', async (t) => {
  const allowed: AllowedSyscall[] = [
    { name: 'read' },
    { name: 'write' },
    { name: 'exit_group' },
    {
      name: 'socket',
      rules: [
        [{ index: 0, op: '==', value: 1 }],
        [
          { index: 0, op: '==', value: 16 },
          { index: 1, op: '==', value: 3 },
        ],
      ],
    },
  ]
  const document = policy(allowed)
  const [program = new Uint8Array()] = compileFilter(library, document, 'errno')
  const resolved = resolvePolicy(document, (arch, name) => library.resolveName(arch, name), [])
  proveFilter([program], 'p', resolved, 'errno')

  // Every return value changed, and every compared constant: each is another meaning.
  let found = 0
  let changed = 0
  for (let at = 0; at < program.length; at += 8) {
    const opcode = program[at] as number
    if (opcode !== 0x06 && opcode !== 0x15) continue
    const mutant = program.slice()
    const view = new DataView(mutant.buffer)
    const k = view.getUint32(at + 4, true)
    view.setUint32(at + 4, opcode === 0x06 ? (k === RET_ALLOW ? RET_LOG : RET_ALLOW) : k + 1, true)
    changed++
    try {
      proveFilter([mutant], 'p', resolved, 'errno')
      t.comment(`not found: instruction ${at / 8}`)
    } catch (error) {
      t.match(error, { code: 'FILTER_UNPROVED', message: /but the policy says (allow|refuse|enosys)/ })
      found++
    }
  }
  t.ok(changed > 10, `${changed} mutants`)
  // All but one, which means the same: number -1 is exempt from libseccomp's test for x32 calls, and is refused all the same.
  t.equal(found, changed - 1)
})

function randomRules(random: Random, operators: readonly Comparison['op'][]): Comparison[][] {
  return Array.from({ length: 1 + random.below(4) }, () => {
    const indices = random.shuffled([0, 1, 2, 3, 4, 5]).slice(0, 1 + random.below(3))
    return indices.map((index): Comparison => {
      const op = random.pick(operators)
      const mask = random.bigint(64)
      const value = op === 'masked==' ? random.bigint(64) & mask : random.bigint(64)
      return { index, op, value: value.toString(), ...(op === 'masked==' ? { mask: mask.toString() } : {}) }
    })
  })
}

function randomPolicy(random: Random, operators: readonly Comparison['op'][]) {
  const names = random.shuffled([...library.syscalls('x86_64').keys()]).slice(0, 1 + random.below(120))
  return policy(
    names.map((name) =>
      random.chance(0.8) ? { name, count: random.below(100) } : { name, rules: randomRules(random, operators) },
    ),
  )
}

test('property: random policies of names, == and masked== compile to filters that are proved', async (t) => {
  const random = new Random(3)
  for (let round = 0; round < 60; round++) {
    const document = randomPolicy(random, ['==', 'masked=='])
    try {
      compileFilter(library, document, random.pick(['errno', 'kill', 'log'] as const))
    } catch (error) {
      t.fail(`round ${round}: ${error}`, { document })
    }
  }
  t.pass('60 policies')
})

test('what libseccomp mistranslates (rules that mix !=, < and > on several arguments) it is not given', async (t) => {
  const rules: Comparison[][] = [
    [
      { index: 0, op: '!=', value: 4213014 },
      { index: 2, op: '==', value: 803279085 },
    ],
    [
      { index: 0, op: '!=', value: 41819 },
      { index: 1, op: '==', value: 180059816 },
    ],
  ]
  using wrong = library.filter({ defaultAction: { kind: 'errno', errno: 1 }, architectures: ['x86_64'] })
  const comparisons = (rule: Comparison[]) =>
    rule.map((one) => ({ ...one, index: one.index, value: BigInt(one.value) }))
  for (const rule of rules) wrong.addExact({ kind: 'allow' }, 16, comparisons(rule) as never)
  const call = { arch: X86_64, number: 16, args: [41819n, 180059816n, 803279085n] }
  const ours = new Simulator(compileFilter(library, policy([{ name: 'ioctl', rules }]), 'errno'))
  t.equal(ours.run(call), RET_ALLOW, 'the first rule holds')
  const random = new Random(4)
  const differing = Array.from({ length: 400 }, () => {
    const args = [random.pick([4213014n, 41819n, 5n]), random.pick([180059816n, 7n]), random.pick([803279085n, 9n])]
    return { ...call, args }
  }).filter((one) => new Simulator([wrong.toBPF()]).run(one) !== ours.run(one))
  t.ok(differing.length > 0, "libseccomp's own translation is another one: this test shows nothing if it is mended")

  for (let round = 0; round < 60; round++) {
    const document = randomPolicy(random, ['==', '!=', '<', '<=', '>', '>=', 'masked=='])
    try {
      compileFilter(library, document, 'errno')
    } catch (error) {
      t.fail(`round ${round}: ${error}`, { document })
    }
  }
})

test('each call of each architecture alone, also those that x86 has a second way for', async (t) => {
  for (const name of ['x86', 'x32', 'arm', 'aarch64', 'x86_64'] as const) {
    const wrong = [...library.syscalls(name).keys()].filter((call) => {
      try {
        const architectures = { [name]: { known: 471, syscalls: [{ name: call }] } }
        return compileFilter(library, policy([], { architectures }), 'errno').length !== 1
      } catch {
        return true
      }
    })
    t.same(wrong, [], name)
  }
})

test('the table that learning uses', async (t) => {
  const table = SYSCALL_NAMES
  t.equal(table.nameOf('x86_64', 257), 'openat')
  t.equal(table.nameOf('x86', 5), 'open')
  t.equal(table.nameOf('x86_64', 9999), undefined)
  t.ok(table.highest('x86_64') >= 471)
})

test('neither the simulator nor the proof imports what makes filters', async (t) => {
  const imported = (path: string, seen = new Set<string>()): Set<string> => {
    if (seen.has(path)) return seen
    seen.add(path)
    const source = readFileSync(new URL(`../../src/filter/${path}`, import.meta.url), 'utf8')
    for (const [, next] of source.matchAll(/^(?:import|export) (?!type ).*?from '([^']+)'/gms)) {
      if (next?.startsWith('./')) imported(next.slice(2), seen)
      else seen.add(next as string)
    }
    return seen
  }
  t.same([...imported('simulate.ts')].sort(), ['actions.ts', 'program.ts', 'returns.ts', 'simulate.ts'])
  for (const path of ['regions.ts', 'prove.ts']) {
    const reached = [...imported(path)]
    t.ok(reached.length > 10, 'the test reads the imports')
    t.same(
      reached.filter((name) => name.startsWith('layout/') || ['compile.ts', 'library.ts', 'cache.ts'].includes(name)),
      [],
      path,
    )
  }
})
