// What goes wrong, and that it is said: code, attempt, object, remedy.

import { type Action, type Arch, type Comparison, loadSync, SeccompError } from 'seccomp-bpf-wasm'
import { test } from 'tap'
import { allow, codeOf, deny, filterFor, seccomp } from './helpers/seccomp.ts'

test('an error says what was attempted, on what, and what to do', async (t) => {
  using filter = filterFor('x86_64', 'x86')
  t.throws(() => filter.add(allow, 'opennat'), {
    name: 'SeccompError',
    code: 'UNKNOWN_SYSCALL',
    message: /^cannot add a rule \(allow\) for "opennat" to the filter for x86_64, x86: UNKNOWN_SYSCALL: .*spelling/,
  })
  t.ok(new SeccompError('RANGE', 'x') instanceof Error)
})

test('unknown names and numbers are refused', async (t) => {
  using filter = filterFor('x86_64')
  for (const name of ['', 'nope', 'read\0', 'a'.repeat(300), 'r\u00e9ad']) {
    t.equal(
      codeOf(() => filter.add(allow, name)),
      'UNKNOWN_SYSCALL',
      JSON.stringify(name.slice(0, 20)),
    )
  }
  for (const number of [-1, -101, 1.5, Number.NaN, 2 ** 31])
    t.equal(
      codeOf(() => filter.add(allow, number)),
      'RANGE',
    )
  using several = filterFor('x86_64', 'x86')
  t.equal(
    codeOf(() => several.add(allow, 9999)),
    'UNKNOWN_SYSCALL',
    'cannot be translated',
  )
})

test('architectures must be known, of one endianness, and there once', async (t) => {
  const make = (...architectures: string[]) =>
    codeOf(() => seccomp.filter({ defaultAction: deny, architectures: architectures as Arch[] }).free())
  t.equal(make(), 'UNKNOWN_ARCH')
  t.equal(make('amd64'), 'UNKNOWN_ARCH')
  t.equal(make('x86_64', 'toString'), 'UNKNOWN_ARCH')
  t.equal(make('x86_64', 's390x'), 'EDOM')
  t.equal(make('x86_64', 'x86_64'), 'EEXIST')
  t.equal(
    codeOf(() => seccomp.resolveName('amd64' as Arch, 'read')),
    'UNKNOWN_ARCH',
  )
})

test('actions out of range are refused', async (t) => {
  using filter = filterFor('x86_64')
  const bad: [unknown, string][] = [
    [{ kind: 'errno', errno: 4095 }, 'RANGE'],
    [{ kind: 'errno', errno: -1 }, 'RANGE'],
    [{ kind: 'errno' }, 'RANGE'],
    [{ kind: 'trace', data: 65536 }, 'RANGE'],
    [{ kind: 'explode' }, 'UNKNOWN_ACTION'],
  ]
  for (const [action, code] of bad)
    t.equal(
      codeOf(() => filter.add(action as Action, 'read')),
      code,
    )
  t.equal(
    codeOf(() => filter.add(deny, 'read')),
    'EACCES',
    'the default action',
  )
})

test('comparisons out of range are refused, never cut', async (t) => {
  using filter = filterFor('x86_64')
  const bad: unknown[] = [
    { index: 6, op: '==', value: 1n },
    { index: -1, op: '==', value: 1n },
    { index: 0.5, op: '==', value: 1n },
    { index: 0, op: '=', value: 1n },
    { index: 0, op: 'toString', value: 1n },
    { index: 0, op: '==', value: 1 },
    { index: 0, op: '==', value: -1n },
    { index: 0, op: '==', value: 2n ** 64n },
    { index: 0, op: '==', value: 1n, mask: 1n },
    { index: 0, op: 'masked==', value: 1n },
    { index: 0, op: 'masked==', value: 1n, mask: 2n ** 64n },
    { index: 0, op: 'masked==', value: 4n, mask: 3n },
  ]
  const before = filter.toBPF()
  for (const one of bad)
    t.equal(
      codeOf(() => filter.add(allow, 'ioctl', [one as Comparison])),
      'RANGE',
    )
  const seven = Array.from({ length: 7 }, (): Comparison => ({ index: 0, op: '==', value: 1n }))
  t.equal(
    codeOf(() => filter.add(allow, 'ioctl', seven)),
    'RANGE',
  )
  t.equal(
    codeOf(() => filter.add(allow, 'ioctl', seven.slice(0, 2))),
    'EINVAL',
    'one argument twice',
  )
  t.same(filter.toBPF(), before, 'nothing was added')
})

test('values that 32-bit architectures would cut are refused', async (t) => {
  using filter = filterFor('x86_64', 'x86')
  t.equal(
    codeOf(() => filter.add(allow, 'ioctl', [{ index: 1, op: '==', value: 2n ** 32n }])),
    'RANGE',
  )
  t.equal(
    codeOf(() => filter.add(allow, 'ioctl', [{ index: 1, op: '==', value: 2n ** 32n - 1n }])),
    undefined,
  )
  const mask = { index: 2, op: 'masked==', value: 1n, mask: 2n ** 64n - 1n } as const
  t.equal(
    codeOf(() => filter.add(allow, 'ioctl', [mask])),
    undefined,
    'a wide mask takes nothing away',
  )
})

test('a program that is too long for the kernel ends in E2BIG, and the module goes on', async (t) => {
  using filter = filterFor('x86_64')
  for (let value = 0n; value < 4000n; value++) filter.add(allow, 'ioctl', [{ index: 1, op: '==', value }])
  t.ok(filter.toBPF().length / 8 <= 4096)
  for (let value = 4000n; value < 4200n; value++) filter.add(allow, 'ioctl', [{ index: 1, op: '==', value }])
  t.equal(
    codeOf(() => filter.toBPF()),
    'E2BIG',
  )
  t.equal(
    codeOf(() => filter.toBPF()),
    'E2BIG',
    'again',
  )
  using other = filterFor('x86_64')
  t.equal(other.add(allow, 'read').toBPF().length % 8, 0)
})

test('a rule that says otherwise than an earlier one is refused and leaves the filter as it was', async (t) => {
  using filter = filterFor('x86_64')
  const rule: Comparison[] = [{ index: 0, op: '==', value: 1n }]
  const before = filter.add(allow, 'ioctl', rule).toBPF()
  t.equal(
    codeOf(() => filter.add({ kind: 'trap' }, 'ioctl', rule)),
    'EEXIST',
  )
  t.same(filter.toBPF(), before)
})

test('exact rules are refused where they cannot be exact', async (t) => {
  using x86 = filterFor('x86')
  t.equal(
    codeOf(() => x86.addExact(allow, 'sysmips')),
    'EDOM',
  )
  t.equal(
    codeOf(() => x86.add(allow, 'sysmips')),
    undefined,
    'no rule for an architecture without the call',
  )
  t.equal(
    codeOf(() => x86.addExact(allow, 'socket', [{ index: 0, op: '==', value: 1n }])),
    'EINVAL',
  )
  t.equal(
    codeOf(() => x86.addExact(allow, 'read')),
    undefined,
  )
  using several = filterFor('x86_64', 'x86')
  t.equal(
    codeOf(() => several.addExact(allow, 'read')),
    'EOPNOTSUPP',
  )
})

test('priorities are 0 to 255', async (t) => {
  using filter = filterFor('x86_64')
  for (const bad of [-1, 256, 1.5])
    t.equal(
      codeOf(() => filter.priority('read', bad)),
      'RANGE',
    )
  t.equal(
    codeOf(() => filter.priority('nope', 1)),
    'UNKNOWN_SYSCALL',
  )
  t.equal(
    codeOf(() => filter.priority('read', 255).priority(1, 0)),
    undefined,
  )
})

test('optimize is 1 or 2', async (t) => {
  const make = (optimize: number) =>
    codeOf(() => seccomp.filter({ defaultAction: deny, architectures: ['x86_64'], optimize: optimize as 1 }).free())
  t.same([0, 1, 2, 3].map(make), ['EOPNOTSUPP', undefined, undefined, 'EOPNOTSUPP'])
})

test('what cannot be merged stays as it was', async (t) => {
  using filter = filterFor('x86_64')
  using same = filterFor('x86_64')
  using big = filterFor('s390x')
  using otherDefault = seccomp.filter({ defaultAction: { kind: 'log' }, architectures: ['x86'] })
  t.equal(
    codeOf(() => filter.merge(same)),
    'EEXIST',
  )
  t.equal(
    codeOf(() => filter.merge(filter)),
    'EEXIST',
  )
  t.equal(
    codeOf(() => filter.merge(big)),
    'EDOM',
  )
  t.equal(
    codeOf(() => filter.merge(otherDefault)),
    'EINVAL',
  )
  for (const one of [filter, same, big, otherDefault]) t.ok(one.toBPF().length > 0)
})

test('freed and merged filters refuse everything', async (t) => {
  const freed = filterFor('x86_64')
  freed.free()
  freed.free()
  const merged = filterFor('x86')
  using filter = filterFor('x86_64').merge(merged)
  for (const one of [freed, merged]) {
    t.equal(
      codeOf(() => one.add(allow, 'read')),
      'USE_AFTER_FREE',
    )
    t.equal(
      codeOf(() => one.priority('read', 1)),
      'USE_AFTER_FREE',
    )
    t.equal(
      codeOf(() => one.toBPF()),
      'USE_AFTER_FREE',
    )
    t.equal(
      codeOf(() => one.toPFC()),
      'USE_AFTER_FREE',
    )
    t.equal(
      codeOf(() => one.merge(filter)),
      'USE_AFTER_FREE',
    )
    t.equal(
      codeOf(() => filter.merge(one)),
      'USE_AFTER_FREE',
    )
  }
})

test('what is not the module is refused', async (t) => {
  t.equal(
    codeOf(() => loadSync(new Uint8Array([1, 2, 3]))),
    'BAD_MODULE',
  )
  const empty = new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0])
  t.equal(
    codeOf(() => loadSync(empty)),
    'BAD_MODULE',
    'a module without what this one has',
  )
})
