// libseccomp's own bpf-sim tests: its test programs, compiled to WebAssembly against the very objects of seccomp.wasm,
// write filters, and its simulator, compiled natively, evaluates them. TEST_ALL=1 runs all of them, else a few.
import { execFileSync } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { WASI } from 'node:wasi'
import { architectures } from 'seccomp-bpf-wasm'
import { test } from 'tap'
import { Diagram } from '../../src/filter/diagram.ts'
import { decodePrograms, regionsOf } from '../../src/filter/regions.ts'
import { returnName } from '../../src/filter/returns.ts'
import { Simulator, type SyscallData } from '../../src/filter/simulate.ts'
import { actionFor } from '../../src/filter/witness.ts'
import { nodeAt } from '../lib/regions.ts'
import { type Case, expandArchs, expandLine, isNumber, readTests } from './helpers/bpf-sim.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const folder = `${root}build/test/bpf-sim`
const everything = process.env.TEST_ALL === '1'

// What upstream's suite has besides, and why it is not run here:
// - type basic: asserts on libseccomp's C API from within (errors, attributes, versions); ours is tested by api.test.ts.
//   38 and 55 compare PFC text by a shell script, 39 asks a kernel for its API level, 52 loads into one.
// - type live: installs filters into the running process; a WebAssembly module has no kernel. kernel.test.ts does that.
// - type bpf-valgrind: memory errors of native code; memory.test.ts and patches.test.ts look for those.
// - bpf-sim-fuzz of 62: changes architectures, so that random calls may hit none of them. Debian drops it as well.
const leftOut = new Set(['62-sim-arch_transactions'])

/** Basics, every action, masks, merging, both endiannesses, pseudo and multiplexed calls, order, 64 bits, binary tree. */
const chosen = [
  '02-sim-basic',
  '06-sim-actions',
  '12-sim-basic_masked_ops',
  '17-sim-arch_merge',
  '23-sim-arch_all_le_basic',
  '26-sim-arch_all_be_basic',
  '29-sim-pseudo_syscall',
  '30-sim-socket_syscalls',
  '43-sim-a2_order',
  '49-sim-64b_comparisons',
  '53-sim-binary_tree',
]
/** Cases that must run at least: those of libseccomp 2.6.0. A new libseccomp has more, or somebody must know why not. */
const expected = everything ? { lines: 521, cases: 7808 } : { lines: 209, cases: 2954 }

const all = readTests(`${root}libseccomp/source/tree/tests`)
const programs = everything ? [...new Set(all.lines.map((line) => line.program))] : chosen
const lines = all.lines.filter((line) => programs.includes(line.program))
const fuzz = all.fuzz.filter((line) => programs.includes(line.program) && !leftOut.has(line.program))

/** Lets a test program write its filter into a file beside it. */
const writeFilter = (program: string): number => {
  const output = openSync(`${folder}/${program}.bpf`, 'w')
  try {
    const wasi = new WASI({ version: 'preview1', args: [program, '-b'], stdout: output, returnOnExit: true })
    const module = new WebAssembly.Module(readFileSync(`${folder}/${program}.wasm`))
    return wasi.start(new WebAssembly.Instance(module, { ...wasi.getImportObject() }))
  } finally {
    closeSync(output)
  }
}

/** Asks the oracle, one question a line. */
const ask = (questions: string[]): string[] => {
  const output = execFileSync(`${folder}/oracle`, { input: `${questions.join('\n')}\n`, maxBuffer: 1 << 28 })
  return output.toString().trimEnd().split('\n')
}

/** Names to numbers, as scmp_sys_resolver -t gives them. */
const resolver = (cases: Case[]): ((arch: string, syscall: string) => string) => {
  const named = cases.filter(({ syscall }) => !isNumber(syscall))
  const questions = [...new Set(named.map(({ arch, syscall }) => `resolve ${arch} ${syscall}`))]
  const answers = ask(questions)
  const numbers = new Map(questions.map((question, index) => [question, answers[index]]))
  return (arch, syscall) => numbers.get(`resolve ${arch} ${syscall}`) ?? syscall
}

const command = (program: string, { arch, syscall, args }: Case): string => {
  const given = args.flatMap((value, index) => (value === undefined ? [] : [`-${index} ${value}`]))
  return ['run', `-a ${arch}`, `-f ${folder}/${program}.bpf`, `-s ${syscall}`, ...given].join(' ')
}

/** Numbers that look random and are the same each time (Knuth's linear congruential generator, MMIX). */
const pseudoRandom = (): (() => string) => {
  let state = 1n
  return () => {
    state = BigInt.asUintN(64, state * 6364136223846793005n + 1442695040888963407n)
    return String(state >> 32n)
  }
}

execFileSync(`${root}test/wasm/fixtures/build-bpf-sim`, [folder, ...programs], { stdio: 'inherit' })

test("every test program of libseccomp's bpf-sim suite writes its filter", async (t) => {
  for (const program of programs) t.equal(writeFilter(program), 0, program)
})

test('every filter gives the action that the suite states', async (t) => {
  const runs = lines.flatMap((line) => expandLine(line).map((one) => ({ line, one })))
  const resolve = resolver(runs.map(({ one }) => one))
  const commands = runs.map(({ line, one }) =>
    command(line.program, { ...one, syscall: resolve(one.arch, one.syscall) }),
  )
  const actions = ask(commands)
  t.equal(actions.length, runs.length, 'one answer for each case')
  const wrong = runs.flatMap(({ line }, index) =>
    actions[index] === line.result ? [] : [`${line.where}: ${commands[index]}: ${actions[index]}, not ${line.result}`],
  )
  t.same(wrong, [])
  t.ok(lines.length >= expected.lines, `${lines.length} lines, at least ${expected.lines}`)
  t.ok(runs.length >= expected.cases, `${runs.length} cases, at least ${expected.cases}`)
  // A line for another native architecture than ours has no cases, as in upstream's runs on x86-64.
  const idle = lines.filter((line) => expandArchs(line.archs).length === 0)
  t.ok(
    idle.every((line) => line.archs === 'x86'),
    `${idle.length} lines are for x86 only`,
  )
  t.comment(`${runs.length} bpf-sim cases from ${lines.length} lines of ${programs.length} programs`)
})

test('our simulator and our exact procedure give the same actions', async (t) => {
  const description = (arch: string) => architectures[arch as keyof typeof architectures]
  // We have no machine of the other byte order: those are left to the oracle.
  const runs = lines
    .flatMap((line) => expandLine(line).map((one) => ({ line, one })))
    .filter(({ one }) => description(one.arch).littleEndian)
  const resolve = resolver(runs.map(({ one }) => one))
  const judges = new Map<string, (call: SyscallData) => readonly number[]>()
  const judge = (program: string) => {
    const bytes = [readFileSync(`${folder}/${program}.bpf`)]
    const simulator = new Simulator(bytes)
    const diagram = new Diagram()
    const regions = regionsOf(diagram, decodePrograms(bytes))
    return (call: SyscallData) => [
      simulator.run(call),
      actionFor(diagram, nodeAt(regions, call.arch, call.number), call),
    ]
  }
  const wrong: string[] = []
  for (const { line, one } of runs) {
    const answers = judges.get(line.program) ?? judge(line.program)
    judges.set(line.program, answers)
    const args = one.args.map((value) => BigInt.asUintN(64, BigInt(value ?? 0)))
    const number = Number(resolve(one.arch, one.syscall)) >>> 0
    const found = answers({ arch: description(one.arch).audit, number, args }).map(returnName)
    if (found.some((action) => action !== line.result))
      wrong.push(`${line.where}: ${JSON.stringify(one)}: ${found}, not ${line.result}`)
  }
  t.same(wrong, [])
  t.ok(runs.length > expected.cases * 0.7, `${runs.length} cases`)
  t.comment(`${runs.length} cases of ${judges.size} programs`)
})

test('every filter ends with some action whatever the call', async (t) => {
  const random = pseudoRandom()
  const runs = fuzz.flatMap(({ program, runs }) =>
    Array.from({ length: runs }, () =>
      command(program, { arch: 'x86_64', syscall: random(), args: Array.from({ length: 6 }, random) }),
    ),
  )
  t.ok(runs.length >= 5 * fuzz.length && fuzz.length > 0, `${runs.length} calls`)
  const actions = ask(runs)
  t.equal(actions.length, runs.length)
  t.same(
    actions.filter((action) => !/^[A-Z_]+(\(\d+\))?$/.test(action)),
    [],
  )
  t.comment(`${runs.length} bpf-sim-fuzz cases`)
})
