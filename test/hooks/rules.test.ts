/** Policies with thousands of argument rules, put into force by the enforce hook on stock runc. */
import { test } from 'tap'
import type { AllowedSyscall, PolicyDocument } from '../../src/generated/policy.ts'
import { encodePolicy } from '../../src/policy/document.ts'
import { Sandbox } from '../lib/sandbox.ts'

/** ioctl(-1, ...): EBADF where it is allowed. */
const IOCTL = '16,-1'
const ALLOWED = 'Bad file descriptor'
const REFUSED = 'Operation not permitted'

function withRules(policy: PolicyDocument, count: number): PolicyDocument {
  const rules: AllowedSyscall['rules'] = Array.from({ length: count }, (_, index) => [
    { index: 1, op: '==', value: 0x5401 + 3 * index },
  ])
  const x86 = policy.architectures.x86_64
  if (x86 === undefined) throw new Error('a policy of x86-64 calls expected')
  const others = x86.syscalls.filter(({ name }) => name !== 'ioctl')
  return { ...policy, architectures: { x86_64: { ...x86, syscalls: [...others, { name: 'ioctl', rules }] } } }
}

for (const noNewPrivileges of [true, false]) {
  test(`policies of 2,500 and 9,000 rules, noNewPrivileges ${noNewPrivileges}`, async (t) => {
    const sandbox = await Sandbox.create(t)
    await sandbox.run({ noNewPrivileges, mode: 'learn', args: ['/fixtures/act', 'hello'] })
    const learned = await sandbox.policy()
    for (const [rules, programs] of [
      [2500, '1'],
      [9000, '[2-9]'],
    ] as const) {
      sandbox.writePolicy(encodePolicy(withRules(learned, rules)))
      const last = 0x5401 + 3 * (rules - 1)
      const expected: [request: bigint | number, result: string][] = [
        [0x5401, ALLOWED],
        [0x5400, REFUSED],
        [0x5402, REFUSED],
        [0x5401 + 3 * 1234, ALLOWED],
        [0x5401 + 3 * 1234 + 1, REFUSED],
        [last, ALLOWED],
        [last + 1, REFUSED],
        [last + 3, REFUSED],
        [0x5401n + (1n << 32n), REFUSED],
      ]
      const calls = expected.map(([request]) => `${IOCTL},${request}`)
      const args = ['/fixtures/act', ...calls.flatMap((call) => ['call', call]), 'getppid', 'hello']
      for (const start of ['not cached', 'cached']) {
        const { stdout, stderr, exitCode } = await sandbox.run({ noNewPrivileges, mode: 'enforce', args })
        t.same(
          stdout.split('\n'),
          [...expected.map(([, result], index) => `${calls[index]}: ${result}`), `getppid: ${REFUSED}`, 'hello: ok'],
          `${rules} rules, ${start}: ${stderr}`,
        )
        t.equal(exitCode, 0)
      }
      const inForce = sandbox.journal().findLast(({ event }) => event === 'in-force')
      t.match(inForce?.message, new RegExp(`^${programs} filter\\(s\\), installed early`))
    }
  })
}

test('a policy that is too large for the kernel: the container does not start, and the reason is said', async (t) => {
  const sandbox = await Sandbox.create(t)
  await sandbox.run({ mode: 'learn', args: ['/fixtures/act', 'hello'] })
  sandbox.writePolicy(encodePolicy(withRules(await sandbox.policy(), 30_000)))
  const { exitCode, stdout, stderr } = await sandbox.run({ mode: 'enforce', args: ['/fixtures/act', 'hello'] })
  t.not(exitCode, 0)
  t.equal(stdout, '')
  t.match(stderr, /policy test is too large for the kernel: .*x86_64 ioctl 30000.*\[FILTER_TOO_LARGE\]/)
  t.match(sandbox.journal().at(-1), { event: 'refused', code: 'FILTER_TOO_LARGE' })
})
