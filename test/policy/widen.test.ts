import { test } from 'tap'
import { evaluate, resolvePolicy } from '../../src/filter/evaluate.ts'
import type { AllowedSyscall, PolicyDocument } from '../../src/generated/policy.ts'
import { decodePolicy, encodePolicy } from '../../src/policy/document.ts'
import { mergePolicies } from '../../src/policy/merge.ts'
import { WIDENINGS, type Widening, type WideningStep, widenPolicy } from '../../src/policy/widen.ts'
import { policy } from '../lib/policies.ts'
import { Random } from '../lib/random.ts'

/** From <sys/socket.h>, <fcntl.h> and <sys/mman.h>. */
const [AF_UNIX, AF_INET, SOCK_STREAM, SOCK_CLOEXEC] = [1, 2, 1, 0o2000000]
const [O_RDWR, O_CREAT, O_CLOEXEC, O_TRUNC] = [2, 0o100, 0o2000000, 0o1000]

const NUMBERS: Record<string, number> = { socket: 41, openat: 257, ioctl: 16, mprotect: 10, seccomp: 317 }

/** Whether a policy of this one call allows it with these arguments. */
function allows(syscall: AllowedSyscall, widening: Widening | undefined, args: readonly number[]): boolean {
  const document: PolicyDocument = policy([syscall], widening === undefined ? {} : { widening })
  const [architecture] = resolvePolicy(document, (_, name) => NUMBERS[name], [])
  const number = NUMBERS[syscall.name as string] as number
  return architecture !== undefined && evaluate(architecture, number, args.map(BigInt)) === 'allow'
}

const socket = (...values: number[][]): AllowedSyscall => ({
  name: 'socket',
  learned: { arguments: [0, 1, 2], values },
})

test('a program that opened an AF_UNIX socket may not open an AF_INET one, however wide', async (t) => {
  for (const widening of [undefined, ...WIDENINGS]) {
    t.ok(allows(socket([AF_UNIX, SOCK_STREAM, 0]), widening, [AF_UNIX, SOCK_STREAM, 0]))
    t.notOk(allows(socket([AF_UNIX, SOCK_STREAM, 0]), widening, [AF_INET, SOCK_STREAM, 0]))
  }
})

test('what gives no power does not matter, except in strict', async (t) => {
  const seen = socket([AF_UNIX, SOCK_STREAM, 0])
  const call = [AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0]
  t.same(
    WIDENINGS.map((widening) => allows(seen, widening, call)),
    [false, true, true],
  )
})

test('flags: any combination of those that were seen, none beyond', async (t) => {
  const openat: AllowedSyscall = { name: 'openat', learned: { arguments: [2], values: [[O_RDWR], [O_CREAT | 1]] } }
  const both = [0, 0, O_RDWR | O_CREAT | O_CLOEXEC]
  t.same(
    WIDENINGS.map((widening) => allows(openat, widening, both)),
    [false, true, true],
  )
  for (const widening of WIDENINGS) {
    t.notOk(allows(openat, widening, [0, 0, O_RDWR | O_TRUNC]), widening)
    t.ok(allows(openat, widening, [0, 0, O_CREAT | 1]), widening)
  }
})

test('flags go with the values that they were seen with, except in loose', async (t) => {
  const seen: AllowedSyscall = {
    name: 'seccomp',
    learned: {
      arguments: [0, 1],
      values: [
        [1, 1],
        [0, 2],
      ],
    },
  }
  const verdicts = (operation: number, flags: number) =>
    WIDENINGS.map((widening) => allows(seen, widening, [operation, flags]))
  t.same(verdicts(1, 1), [true, true, true])
  t.same(verdicts(1, 0), [false, true, true])
  t.same(verdicts(1, 2), [false, false, true])
  t.same(verdicts(2, 1), [false, false, false])
})

test('int arguments: what stands in the upper half of the register does not matter', async (t) => {
  const ioctl: AllowedSyscall = { name: 'ioctl', learned: { arguments: [1], values: [[0xc0045401]] } }
  const signExtended = 0xffffffffc0045401n
  const document = policy([ioctl])
  const [architecture] = resolvePolicy(document, () => 16, [])
  if (architecture === undefined) throw new Error('no architecture')
  for (const command of [0xc0045401n, signExtended, 0x1_c0045401n]) {
    t.equal(evaluate(architecture, 16, [0n, command]), 'allow')
  }
  t.equal(evaluate(architecture, 16, [0n, signExtended + 1n]), 'refuse')
})

test('more values than a person would call a set: any value, with the reason', async (t) => {
  const values = Array.from({ length: 100 }, (_, at) => [at * 3])
  const seen: AllowedSyscall = { name: 'ioctl', learned: { arguments: [1], values } }
  t.notOk(allows(seen, 'balanced', [0, 1]))
  t.ok(allows(seen, 'loose', [0, 1]))
  const steps: WideningStep[] = []
  widenPolicy(policy([seen], { widening: 'loose' }), steps)
  t.match(steps, [
    {
      architecture: 'x86_64',
      syscall: 'ioctl',
      argument: { index: 1, name: 'op' },
      reason: '100 values were seen, more than 64: any value',
    },
  ])
})

test('every learned call passes, and each step is wider than the one before', async (t) => {
  const random = new Random(20261121)
  for (let round = 0; round < 300; round++) {
    const name = random.pick(['socket', 'openat', 'ioctl', 'mprotect'])
    const index = { socket: [0, 1, 2], openat: [2], ioctl: [1], mprotect: [2] }[name] as number[]
    const values = Array.from({ length: 1 + random.below(6) }, () => index.map(() => random.below(2 ** 12)))
    const syscall: AllowedSyscall = { name, learned: { arguments: index, values } }
    const place = (combination: readonly number[]) => {
      const args = [0, 0, 0]
      for (const [at, value] of combination.entries()) args[index[at] as number] = value
      return args
    }
    for (const combination of values) {
      for (const widening of WIDENINGS)
        if (!allows(syscall, widening, place(combination))) t.fail(`${widening} refuses ${name} ${combination}`)
    }
    for (let probe = 0; probe < 20; probe++) {
      const args = place(index.map(() => random.below(2 ** 12)))
      const [strict, balanced, loose] = WIDENINGS.map((widening) => allows(syscall, widening, args))
      if ((strict && !balanced) || (balanced && !loose)) t.fail(`${name} ${args}: ${strict} ${balanced} ${loose}`)
    }
  }
  t.pass('300 policies')
})

test('merging: the union; any arguments hold all; combinations beyond the limit are any', async (t) => {
  const first = (document: PolicyDocument) => document.architectures.x86_64?.syscalls[0]
  const united = mergePolicies(policy([socket([1, 1, 0])]), policy([socket([2, 1, 0], [1, 1, 0])]))
  t.same(first(united)?.learned, {
    arguments: [0, 1, 2],
    values: [
      [1, 1, 0],
      [2, 1, 0],
    ],
  })
  t.same(first(mergePolicies(united, policy(['socket']))), { name: 'socket' })
  const many = (from: number) => Array.from({ length: 3000 }, (_, at) => [from + at])
  const ioctl = (from: number) => policy([{ name: 'ioctl', learned: { arguments: [1], values: many(from) } }])
  t.same(first(mergePolicies(ioctl(0), ioctl(3000))), { name: 'ioctl' })
  t.equal(first(mergePolicies(ioctl(0), ioctl(500)))?.learned?.values.length, 3500)
})

test('as text', async (t) => {
  const document = policy([socket([2, 1, 0], [1, 1, 0])], { widening: 'strict' })
  t.same(decodePolicy(encodePolicy(document), 'x'), document)
  const broken = encodePolicy(document).replace('"values": [[1, 1, 0]', '"values": [[1, 1]')
  t.throws(() => decodePolicy(broken, 'x'), {
    code: 'POLICY_INVALID',
    message: /syscalls\/0\/learned\/values\/0: expected 3 values, as many as arguments/,
  })
  const twice = encodePolicy(document).replace('"arguments": [0, 1, 2]', '"arguments": [0, 1, 1]')
  t.throws(() => decodePolicy(twice, 'x'), { message: /learned\/arguments: must be ascending, each once/ })
})

test('a call may be wider or narrower than the policy; merging takes the wider', async (t) => {
  const values = [[0x5401], [0x5402]]
  const many = Array.from({ length: 100 }, (_, at) => [at * 3])
  const ioctl: AllowedSyscall = { name: 'ioctl', widening: 'loose', learned: { arguments: [1], values: many } }
  t.ok(allows(ioctl, 'strict', [0, 1]))
  const strict: AllowedSyscall = {
    name: 'openat',
    widening: 'strict',
    learned: { arguments: [2], values: [[1], [0o100]] },
  }
  t.notOk(allows(strict, 'loose', [0, 0, 0o101]))
  t.ok(allows(strict, 'loose', [0, 0, 0o100]))
  const call = (widening: Widening | undefined): AllowedSyscall => ({
    name: 'ioctl',
    ...(widening === undefined ? {} : { widening }),
    learned: { arguments: [1], values },
  })
  const merged = (a: Widening | undefined, b: Widening | undefined) =>
    mergePolicies(policy([call(a)]), policy([call(b)])).architectures.x86_64?.syscalls[0]?.widening
  t.equal(merged('strict', 'loose'), 'loose')
  t.equal(merged('strict', undefined), 'strict')
  t.equal(merged(undefined, undefined), undefined)
  t.same(decodePolicy(encodePolicy(policy([strict])), 'x'), policy([strict]))
})
