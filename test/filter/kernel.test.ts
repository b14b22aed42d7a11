/** The simulator against the kernel: random filters, one or several, and calls under them that are never executed. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execa } from 'execa'
import { test } from 'tap'
import { compileFilter } from '../../src/filter/compile.ts'
import { seccompLibrary } from '../../src/filter/library.ts'
import { decodeProgram, programProblem } from '../../src/filter/program.ts'
import { effectOf, RET_TRACE, RET_USER_NOTIF } from '../../src/filter/returns.ts'
import { Simulator, type SyscallData } from '../../src/filter/simulate.ts'
import { policy } from '../lib/policies.ts'
import {
  decodeInstructions,
  encodeProgram,
  I386,
  type Instruction,
  randomProgram,
  someConstants,
  valuesAround,
  X86_64,
} from '../lib/programs.ts'
import { Random } from '../lib/random.ts'

const SETS = process.env.TEST_ALL === '1' ? 2000 : 100
const CALLS = 60
const FIXTURE = join(import.meta.dirname, '../fixtures/kernel-filters.c')

/** What the fixture says of a call that ended the process. */
const KILLED = 0x7fffffff
/** A call whose sixth argument is this is let through: the fixture's own (kernel-filters.c). */
const DOOR = 0xd0031337
/** In front of a program: the door, and the accumulator is 0 again. Offsets of args[5] in struct seccomp_data. */
const door: Instruction[] = [
  [0x20, 0, 0, 56],
  [0x15, 0, 3, DOOR],
  [0x20, 0, 0, 60],
  [0x15, 0, 1, DOOR],
  [0x06, 0, 0, 0x7fff_0000],
  [0x00, 0, 0, 0],
]
/** The program that is installed first: what the others let through or log is not executed, but gets this errno. */
const UNEXECUTED = 0x0005_0fa0
const guard: Instruction[] = [...door, [0x06, 0, 0, UNEXECUTED]]

/** uretprobe and uprobe of x86-64: newer kernels (6.14 for the first) let them through without asking any filter. */
const UNASKED = [335, 336]

interface Call extends SyscallData {
  readonly abi: 0 | 1
}

interface Set {
  readonly programs: readonly Uint8Array[]
  readonly calls: readonly Call[]
}

function encodeSet({ programs, calls }: Set): Buffer {
  const head = (value: number) => {
    const buffer = Buffer.alloc(4)
    buffer.writeUInt32LE(value)
    return buffer
  }
  const body = calls.map(({ abi, number, args }) => {
    const buffer = Buffer.alloc(56)
    buffer.writeUInt32LE(abi)
    buffer.writeUInt32LE(number, 4)
    for (const [index, argument] of args.entries()) buffer.writeBigUInt64LE(argument, 8 + 8 * index)
    return buffer
  })
  const all = programs.flatMap((program) => [head(program.length / 8), Buffer.from(program)])
  return Buffer.concat([head(programs.length), ...all, head(calls.length), ...body])
}

/** What a call returns for what a filter returned; actions that need somebody who listens get ENOSYS where there is nobody. */
function resultOf(value: number): number {
  const effect = effectOf(value)
  const action = (effect & 0xffff_0000) >>> 0
  if (action === 0x0005_0000) return 0 - (effect & 0xffff)
  return action === RET_TRACE || action === RET_USER_NOTIF ? -38 : KILLED
}

function randomCalls(random: Random, programs: readonly (readonly Instruction[])[]): Call[] {
  const values = valuesAround(programs)
  const word = () => (random.chance(0.85) ? random.pick(values) : Number(random.bigint(32)))
  return Array.from({ length: CALLS }, () => {
    const abi = random.chance(0.25) ? 1 : 0
    // int $0x80 passes the lower halves of registers.
    const args = Array.from({ length: 6 }, () => (abi === 1 ? 0n : BigInt(word()) << 32n) | BigInt(word()))
    if (args[5] === ((BigInt(DOOR) << 32n) | BigInt(DOOR))) args[5] = 0n
    const number = word()
    return { abi, arch: abi === 1 ? I386 : X86_64, number: UNASKED.includes(number) ? 0 : number, args }
  })
}

/** The filter of a random policy, in one program, or in two that each allow a part and are installed one after the other. */
function policyPrograms(random: Random): Uint8Array[] {
  const library = seccompLibrary()
  const names = random.shuffled([...library.syscalls('x86_64').keys()]).slice(0, 3 + random.below(30))
  const rule = () => [{ index: random.below(6), op: '==' as const, value: String(random.bigint(64)) }]
  const calls = (part: string[]) => part.map((name) => (random.chance(0.7) ? name : { name, rules: [rule(), rule()] }))
  const compiled = (part: string[]) => compileFilter(library, policy(calls(part)), random.pick(['errno', 'log']))
  return random.chance(0.5) ? compiled(names) : [...compiled(names.slice(2)), ...compiled(names.slice(0, -2))]
}

function randomSet(random: Random): Set {
  const constants = someConstants(random)
  const length = () => 2 + random.below(60)
  const bodies = random.chance(0.3)
    ? policyPrograms(random).map(decodeInstructions)
    : Array.from({ length: 1 + random.below(4) }, () =>
        randomProgram(random, constants, { length: length(), everything: true, kills: random.chance(0.1) }),
      )
  const programs = [guard, ...bodies.map((body) => [...door, ...body])].map(encodeProgram)
  return { programs, calls: randomCalls(random, bodies) }
}

test('the simulator and the kernel agree on random filters and calls', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'oci-sandbox-kernel-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  const fixture = join(directory, 'kernel-filters')
  await execa('gcc', ['-O1', '-Wall', '-Wextra', '-Werror', '-o', fixture, FIXTURE])
  const random = new Random(31)
  const sets = Array.from({ length: SETS }, () => randomSet(random))
  const problems = sets.flatMap(({ programs }) => programs.map((program) => programProblem(decodeProgram(program))))
  t.same(new Set(problems), new Set([undefined]))
  const { stdout, stderr, exitCode } = await execa(fixture, {
    input: Buffer.concat(sets.map(encodeSet)),
    encoding: 'buffer',
    maxBuffer: 1 << 28,
    reject: false,
  })
  t.equal(exitCode, 0, Buffer.from(stderr).toString())
  const results = new DataView(stdout.buffer, stdout.byteOffset, stdout.byteLength)
  t.equal(results.byteLength, 4 * SETS * CALLS)
  const count = { errno: 0, killed: 0, unexecuted: 0, i386: 0, stacked: 0 }
  for (const [index, { programs, calls }] of sets.entries()) {
    const simulator = new Simulator(programs)
    for (const [place, call] of calls.entries()) {
      const found = results.getInt32(4 * (index * CALLS + place), true)
      const expected = resultOf(simulator.run(call))
      if (found !== expected)
        t.equal(found, expected, `set ${index}`, { call, programs: programs.map(decodeInstructions) })
      if (found === KILLED) count.killed++
      else if (found === -(UNEXECUTED & 0xffff)) count.unexecuted++
      else count.errno++
      if (call.abi === 1) count.i386++
      if (programs.length > 2) count.stacked++
    }
  }
  t.comment(`${SETS * CALLS} calls: ${JSON.stringify(count)}`)
  for (const [what, many] of Object.entries(count)) t.ok(many > (SETS * CALLS) / 200, `${many} ${what}`)
})
