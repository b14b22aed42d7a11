/** A call that had no name when it was learned first, and has one now. */
import { test } from 'tap'
import { compileFilter } from '../../src/filter/compile.ts'
import { seccompLibrary } from '../../src/filter/library.ts'
import { Simulator } from '../../src/filter/simulate.ts'
import type { AllowedSyscall } from '../../src/generated/policy.ts'
import { policy } from '../lib/policies.ts'

const library = seccompLibrary()
const SOCKET = 41
const X86_64 = 0xc000_003e
const ALLOW = 0x7fff_0000

test('what a list says of a call by name and by number is allowed either way', async (t) => {
  const equals = (value: number): AllowedSyscall['rules'] => [[{ index: 0, op: '==', value }]]
  const allowed = (...calls: AllowedSyscall[]) => {
    const simulator = new Simulator(compileFilter(library, policy(['read', ...calls]), 'errno'))
    return [1, 2, 3].filter((value) => {
      const call = { arch: X86_64, number: SOCKET, args: [BigInt(value)] }
      return simulator.run(call) === ALLOW
    })
  }
  const one = { name: 'socket', rules: equals(1) as [] }
  t.same(allowed(one, { number: SOCKET, rules: equals(2) as [] }), [1, 2])
  t.same(allowed(one, { number: SOCKET }), [1, 2, 3])
  t.same(allowed({ name: 'socket' }, { number: SOCKET, rules: equals(2) as [] }), [1, 2, 3])
})
