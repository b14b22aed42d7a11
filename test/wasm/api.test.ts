// The package's API: what filters do, and how names and numbers are resolved.

import {
  type Arch,
  archFromAudit,
  archFromScmp,
  architectures,
  archNames,
  type Comparison,
  load,
} from 'seccomp-bpf-wasm'
import { test } from 'tap'
import { allow, codeOf, deny, filterFor, seccomp } from './helpers/seccomp.ts'
import { simulate } from './helpers/simulate.ts'

const { x86_64, x86, aarch64 } = architectures
const ALLOW = 0x7fff0000
const DENY = 0x00050001
const KILL_PROCESS = 0x80000000

test('the module carries the pinned libseccomp', async (t) => {
  t.equal(seccomp.version, '2.6.0')
  t.equal((await load()).version, '2.6.0', 'found beside the module')
})

test("the table of architectures agrees with libseccomp's", async (t) => {
  t.equal(archNames.length, 23)
  const { Library } = await import('../../wasm/src/library.ts')
  const { readFileSync } = await import('node:fs')
  const { wasmFile } = await import('./helpers/seccomp.ts')
  const library = new Library(new WebAssembly.Module(readFileSync(wasmFile)))
  for (const name of archNames) {
    const arch = architectures[name]
    library.putName(name)
    t.equal(library.exports.seccomp_arch_resolve_name(library.scratch) >>> 0, arch.token, name)
    t.equal(library.exports.glue_arch_audit(arch.token) >>> 0, arch.audit, `${name}: audit`)
    t.equal(library.exports.glue_arch_little_endian(arch.token) === 1, arch.littleEndian, `${name}: endianness`)
    t.equal(arch.scmp, `SCMP_ARCH_${name.toUpperCase()}`)
    t.equal(archFromScmp(arch.scmp), name)
    t.equal(archFromAudit(arch.audit), name === 'x32' ? 'x86_64' : name)
  }
})

test('names and numbers are resolved for each architecture', async (t) => {
  t.equal(seccomp.resolveName('x86_64', 'openat'), 257)
  t.equal(seccomp.resolveName('aarch64', 'openat'), 56)
  t.equal(seccomp.resolveName('x32', 'openat'), 0x40000000 + 257, 'x32 has bit 30 set')
  t.equal(seccomp.resolveName('mips', 'openat'), 4288, 'MIPS has its base')
  t.equal(seccomp.resolveNumber('x86_64', 257), 'openat')
  t.equal(seccomp.resolveNumber('aarch64', 257), undefined)
  t.equal(seccomp.resolveNumber('x86_64', -10001), undefined)
  t.equal(seccomp.resolveName('aarch64', 'open'), undefined, 'a call that the architecture lacks')
  t.equal(seccomp.resolveName('x86_64', 'no_such_call'), undefined)
  for (const odd of ['', 'a'.repeat(256), 'read\0', 'r\u00e9ad']) t.equal(seccomp.resolveName('x86_64', odd), undefined)
})

test('calls that can go through another one have the number of their own', async (t) => {
  t.equal(seccomp.resolveName('x86', 'socket'), 359)
  t.equal(seccomp.resolveName('x86', 'accept'), undefined, 'there is only socketcall(SYS_ACCEPT) for it')
  t.equal(seccomp.resolveName('x86', 'socketcall'), 102)
})

test('syscalls that came after Linux 6.13 are known', async (t) => {
  const newer = { open_tree_attr: 467, file_getattr: 468, file_setattr: 469, listns: 470, rseq_slice_yield: 471 }
  for (const [name, number] of Object.entries(newer)) {
    for (const arch of ['x86_64', 'x86', 'aarch64', 'riscv64', 's390x'] as Arch[]) {
      t.equal(seccomp.resolveName(arch, name), number, `${name} on ${arch}`)
      t.equal(seccomp.resolveNumber(arch, number), name)
    }
  }
  t.equal(seccomp.resolveName('x86_64', 'uprobe'), 336)
  t.equal(seccomp.resolveName('x86', 'uprobe'), undefined)
  t.equal(seccomp.resolveName('x32', 'listns'), 0x40000000 + 470)
})

test('the table of an architecture holds its real calls, once each, by number', async (t) => {
  for (const arch of archNames) {
    const table = seccomp.syscalls(arch)
    const numbers = [...table.values()]
    t.ok(table.size > 280, `${arch}: ${table.size} calls`)
    t.ok(numbers.every((number, index) => number >= 0 && (index === 0 || number >= (numbers[index - 1] ?? 0))))
    const own = arch === 'arm' ? numbers.filter((number) => number < 0xf0000) : numbers // without __ARM_NR_BASE and what follows
    t.equal(seccomp.highest(arch), own.at(-1))
    t.ok(table.has('listns') && table.has('read'))
    t.equal([...table].filter(([name, number]) => seccomp.resolveName(arch, name) !== number).length, 0)
  }
  t.equal(seccomp.syscalls('x86_64'), seccomp.syscalls('x86_64'), 'made once')
  t.same([seccomp.highest('x86_64'), seccomp.highest('arm')], [471, 471])
})

test('rules allow what they name, by name or number, and the default catches the rest', async (t) => {
  using filter = filterFor('x86_64')
  const program = filter.add(allow, 'read').add(allow, 1).add(allow, 9999).toBPF()
  const answer = (nr: number, arch = x86_64.audit) => simulate(program, { nr, arch })
  t.equal(answer(0), ALLOW)
  t.equal(answer(1), ALLOW)
  t.equal(answer(9999), ALLOW, 'a number that has no name')
  t.equal(answer(2), DENY)
  t.equal(answer(0, x86.audit), KILL_PROCESS, 'another architecture')
  t.equal(answer(0x40000000), KILL_PROCESS, 'x32')
})

test('numbers are those of the first architecture, also where it is not x86-64', async (t) => {
  using filter = filterFor('aarch64', 'x86_64')
  const program = filter.add(allow, 56).toBPF()
  t.equal(simulate(program, { nr: 56, arch: aarch64.audit }), ALLOW, 'openat')
  t.equal(simulate(program, { nr: 257, arch: x86_64.audit }), ALLOW, 'openat')
  t.equal(simulate(program, { nr: 56, arch: x86_64.audit }), DENY, 'clone')
  using single = filterFor('aarch64')
  t.equal(simulate(single.add(allow, 9999).toBPF(), { nr: 9999, arch: aarch64.audit }), ALLOW, 'without a name')
})

test('a name stands for the call by whatever way an architecture makes it', async (t) => {
  using filter = filterFor('x86_64', 'x86')
  const program = filter.add(allow, 'socket').add(allow, 'uprobe').toBPF()
  const answer = (nr: number, first: bigint) => simulate(program, { nr, arch: x86.audit, args: [first] })
  t.equal(answer(359, 0n), ALLOW, 'socket()')
  t.equal(answer(102, 1n), ALLOW, 'socketcall(SYS_SOCKET)')
  t.equal(answer(102, 2n), DENY, 'socketcall(SYS_BIND)')
  t.equal(answer(336, 0n), DENY, 'uprobe is no call of x86: there 336 is another')
  t.equal(simulate(program, { nr: 336, arch: x86_64.audit }), ALLOW)
})

test('each operator holds where it should, at -1, 0 and +1 of both halves', async (t) => {
  const base = 0x5_0000_0007n
  const near = [-0x1_0000_0000n, -1n, 0n, 1n, 0x1_0000_0000n].map((distance) => base + distance)
  const operators: [Comparison['op'], (value: bigint) => boolean][] = [
    ['==', (value) => value === base],
    ['!=', (value) => value !== base],
    ['<', (value) => value < base],
    ['<=', (value) => value <= base],
    ['>', (value) => value > base],
    ['>=', (value) => value >= base],
    ['masked==', (value) => (value & 0xff_0000_00ffn) === (base & 0xff_0000_00ffn)],
  ]
  for (const [op, holds] of operators) {
    for (const index of [0, 5]) {
      using filter = filterFor('x86_64')
      const mask = op === 'masked==' ? { mask: 0xff_0000_00ffn } : {}
      const program = filter.add(allow, 'ioctl', [{ index, op, value: base, ...mask }]).toBPF()
      for (const value of [...near, 0n, 2n ** 64n - 1n, base + 0x100n]) {
        const args = Array.from({ length: 6 }, (_, position) => (position === index ? value : 42n))
        const answer = simulate(program, { nr: 16, arch: x86_64.audit, args })
        t.equal(answer, holds(value) ? ALLOW : DENY, `argument ${index}: ${value} ${op} ${base}`)
      }
    }
  }
})

test('of two overlapping < rules the narrower one wins, in whatever order they are added', async (t) => {
  // GHSA-4q85-33p6-j5g6, in the module as it is shipped; patches.test.ts shows what happens without the patch.
  const wide = { action: allow, value: 0x1_0000_0009n }
  const narrow = { action: { kind: 'trap' }, value: 0x1_0000_0005n } as const
  for (const op of ['<', '<='] as const) {
    for (const rules of [
      [wide, narrow],
      [narrow, wide],
    ]) {
      using filter = filterFor('x86_64')
      for (const { action, value } of rules) filter.add(action, 'ioctl', [{ index: 0, op, value }])
      const program = filter.toBPF()
      const answer = (value: bigint) => simulate(program, { nr: 16, arch: x86_64.audit, args: [value] })
      t.same([0n, 0xffffffffn, narrow.value - 1n].map(answer), [0x00030000, 0x00030000, 0x00030000], `${op}: narrow`)
      t.same([narrow.value + 1n, wide.value - 1n].map(answer), [ALLOW, ALLOW], `${op}: wide`)
      t.same([wide.value + 1n, 2n ** 64n - 1n].map(answer), [DENY, DENY], `${op}: neither`)
    }
  }
})

test('all conditions of a rule must hold', async (t) => {
  using filter = filterFor('x86_64')
  const rule: Comparison[] = [0, 1, 2, 3, 4, 5].map((index) => ({ index, op: '==', value: BigInt(index + 10) }))
  const program = filter.add(allow, 'ioctl', rule).toBPF()
  const right = [10n, 11n, 12n, 13n, 14n, 15n]
  t.equal(simulate(program, { nr: 16, arch: x86_64.audit, args: right }), ALLOW)
  for (let index = 0; index < 6; index++) {
    const args = right.with(index, 99n)
    t.equal(simulate(program, { nr: 16, arch: x86_64.audit, args }), DENY, `argument ${index}`)
  }
})

test('every action becomes the value that the kernel knows for it', async (t) => {
  const values = [
    [{ kind: 'killProcess' }, 0x80000000],
    [{ kind: 'killThread' }, 0x00000000],
    [{ kind: 'trap' }, 0x00030000],
    [{ kind: 'errno', errno: 4094 }, 0x00050ffe],
    [{ kind: 'notify' }, 0x7fc00000],
    [{ kind: 'trace', data: 65535 }, 0x7ff0ffff],
    [{ kind: 'log' }, 0x7ffc0000],
    [{ kind: 'allow' }, 0x7fff0000],
  ] as const
  for (const [action, value] of values) {
    using filter = filterFor('x86_64')
    t.equal(simulate(filter.add(action, 'read').toBPF(), { nr: 0, arch: x86_64.audit }), value, action.kind)
    using other = seccomp.filter({ defaultAction: action, badArchAction: deny, architectures: ['x86_64'] })
    const program = other.toBPF()
    t.equal(simulate(program, { nr: 0, arch: x86_64.audit }), value, `${action.kind} by default`)
    t.equal(simulate(program, { nr: 0, arch: x86.audit }), DENY)
  }
})

test('merged filters keep their own rules for each architecture', async (t) => {
  using filter = filterFor('x86_64')
  filter.add(allow, 'read').merge(filterFor('x86').add(allow, 'write')).merge(filterFor('aarch64').add(allow, 9999))
  t.same(filter.architectures, ['x86_64', 'x86', 'aarch64'])
  const answers = () => {
    const program = filter.toBPF()
    const calls: [number, number][] = [
      [0, x86_64.audit],
      [1, x86_64.audit],
      [4, x86.audit],
      [3, x86.audit],
      [9999, aarch64.audit],
    ]
    return calls.map(([nr, arch]) => simulate(program, { nr, arch }))
  }
  const right = [ALLOW, DENY, ALLOW, DENY, ALLOW]
  t.same(answers(), right)
  filter.add({ kind: 'trap' }, 'ioctl', [{ index: 0, op: '==', value: 1n }])
  t.throws(() => filter.add({ kind: 'log' }, 'ioctl', [{ index: 0, op: '==', value: 1n }]), { code: 'EEXIST' })
  t.same(answers(), right, 'a rule that fails later takes nothing away')
})

test('a rule that fails right after merging takes nothing away', async (t) => {
  // libseccomp falls back on a copy that it made before merging: see glue_merge() in wasm/glue.c.
  using filter = filterFor('x86_64')
  const ioctl: Comparison[] = [{ index: 0, op: '==', value: 1n }]
  filter.add({ kind: 'trap' }, 'ioctl', ioctl).merge(filterFor('x86').add({ kind: 'trap' }, 'ioctl', ioctl))
  const before = filter.toBPF()
  t.throws(() => filter.add({ kind: 'log' }, 'ioctl', ioctl), { code: 'EEXIST' })
  t.same(filter.toBPF(), before)
})

test('priorities and the binary tree change the order, not the answers', async (t) => {
  const names = [...seccomp.syscalls('x86_64').keys()].slice(0, 200)
  const build = (optimize: 1 | 2) => {
    const filter = seccomp.filter({ defaultAction: deny, architectures: ['x86_64'], optimize })
    for (const name of names) filter.add(allow, name)
    return filter
  }
  using plain = build(1)
  using tree = build(2)
  using first = build(1).priority('pipe', 255)
  t.match(first.toPFC(), /syscall "pipe" \(22\) \[priority: (?!65535)/)
  const [a, b, c] = [plain.toBPF(), tree.toBPF(), first.toBPF()]
  t.notSame(a, b)
  t.notSame(a, c)
  for (let nr = 0; nr < 500; nr++) {
    const answer = simulate(a, { nr, arch: x86_64.audit })
    t.equal(simulate(b, { nr, arch: x86_64.audit }), answer)
    t.equal(simulate(c, { nr, arch: x86_64.audit }), answer)
  }
})

test('rules for many calls make the program that single ones make', async (t) => {
  const calls = Array.from({ length: 200 }, (_, number): [number, number] => [number, (number * 37) % 256])
  for (const shuffled of [
    calls,
    [...calls].reverse(),
    calls.toSorted(([a], [b]) => ((a * 7) % 200) - ((b * 7) % 200)),
  ]) {
    using many = filterFor('x86_64').addExact(allow, 500).addCalls(allow, shuffled)
    using single = filterFor('x86_64').addExact(allow, 500)
    for (const [number, priority] of calls) single.addExact(allow, number).priority(number, priority)
    t.same(many.toBPF(), single.toBPF())
    // And as after any rule, more can be added.
    for (const filter of [many, single]) filter.addExact(allow, 300).addExact(allow, 3)
    t.same(many.toBPF(), single.toBPF())
  }
})

test('rules for many calls: none is added where one cannot be', async (t) => {
  using filter = filterFor('x86_64').addExact(allow, 1)
  const before = filter.toBPF()
  const cases: [string, [number, number][]][] = [
    [
      'RANGE',
      [
        [0, 0],
        [-1, 0],
      ],
    ],
    [
      'RANGE',
      [
        [0, 0],
        [2, 256],
      ],
    ],
    [
      'RANGE',
      [
        [0, 0],
        [1.5, 0],
      ],
    ],
  ]
  for (const [code, calls] of cases) {
    t.equal(
      codeOf(() => filter.addCalls(allow, calls)),
      code,
    )
  }
  t.equal(
    codeOf(() => filter.addCalls(deny, [[0, 0]])),
    'EACCES',
  )
  t.same(filter.toBPF(), before)
  t.same(filter.addCalls(allow, []).toBPF(), before)
  using two = filterFor('x86_64', 'x86')
  t.equal(
    codeOf(() => two.addCalls(allow, [[0, 0]])),
    'EOPNOTSUPP',
  )
  filter.free()
  t.equal(
    codeOf(() => filter.addCalls(allow, [[0, 0]])),
    'USE_AFTER_FREE',
  )
})

test('the pseudo filter code is readable text', async (t) => {
  using filter = filterFor('x86_64')
  const text = filter.add(allow, 'read').add(allow, 'listns').toPFC()
  t.match(text, /^#\n# pseudo filter code start\n/)
  t.match(text, /# filter for syscall "listns" \(470\)/)
  t.match(text, /# pseudo filter code end\n#\n$/)
  t.equal(filter.toPFC(), text, 'twice the same')
})

test('a large pseudo filter code arrives whole', async (t) => {
  using filter = filterFor('x86_64')
  for (let value = 0n; value < 1500n; value++) filter.add(allow, 'ioctl', [{ index: 1, op: '==', value }])
  const text = filter.toPFC()
  t.equal(text.match(/action ALLOW;/g)?.length, 1500)
  t.match(text, /# pseudo filter code end\n#\n$/)
})

test('big-endian architectures get programs in their byte order', async (t) => {
  using filter = filterFor('s390x')
  const program = filter.add(allow, 'read').toBPF()
  t.same([...program.subarray(0, 8)], [0, 0x20, 0, 0, 0, 0, 0, 4], 'ld [4], big endian')
})
