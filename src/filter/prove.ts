/**
 * Does a filter mean its policy? Where it only compares numbers with constants (which is checked), it treats all numbers between two
 * neighbouring constants alike: to simulate each constant, and the number on either side of it, is to try every number there is,
 * for every architecture. For a call with argument rules, arguments on both sides of each comparison are tried.
 */
import { SandboxError } from '../errors.ts'
import type { Comparison } from '../generated/policy.ts'
import type { ViolationAction } from '../oci/annotations.ts'
import { ARGUMENT_BITS, type ArchitectureName } from '../policy/document.ts'
import { decodeUint64 } from '../policy/uint64.ts'
import { ENOSYS, RET_ALLOW, RET_ERRNO, VIOLATION } from './actions.ts'
import { auditArch, numberSpaceEnd, numberSpaceStart } from './architectures.ts'
import { evaluate, type ResolvedArchitecture, type Verdict } from './evaluate.ts'
import { Simulator } from './simulate.ts'

const ARCHITECTURES: readonly ArchitectureName[] = ['x86_64', 'x86', 'x32', 'aarch64', 'arm']

/** Throws FILTER_UNPROVED with the first call that the filter treats otherwise than the policy says. */
export function proveFilter(
  programs: readonly Uint8Array[],
  policy: string,
  architectures: readonly ResolvedArchitecture[],
  violation: ViolationAction,
): void {
  const { returns } = VIOLATION[violation]
  const expected: Record<Verdict, number> = {
    allow: RET_ALLOW,
    refuse: returns,
    enosys: violation === 'log' ? returns : RET_ERRNO | ENOSYS,
  }
  const simulators = programs.map((program) => new Simulator(program))
  if (!simulators.every((simulator) => simulator.onlyComparesNumbers())) {
    throw new SandboxError(
      'FILTER_UNPROVED',
      `policy ${policy}: its filter computes with syscall numbers, which cannot be proved`,
    )
  }
  const constants = borders([
    ...simulators.flatMap((simulator) => simulator.constants()),
    ...architectures.flatMap(({ known, allowed }) => [known, ...allowed.keys()]),
  ])
  for (const name of ARCHITECTURES) {
    const architecture = architectures.find((candidate) => candidate.name === name)
    const arch = auditArch(name)
    const space = { from: numberSpaceStart(name), to: numberSpaceEnd(name) }
    for (const number of constants) {
      if (number < space.from || number >= space.to) continue
      for (const args of samples(architecture?.allowed.get(number), ARGUMENT_BITS[name])) {
        const verdict = architecture === undefined ? 'refuse' : evaluate(architecture, number, args)
        const found = strictest(simulators.map((simulator) => simulator.run({ arch, number, args })))
        if (found !== expected[verdict]) {
          const call = `${name} syscall ${number}(${args.join(', ')})`
          throw new SandboxError(
            'FILTER_UNPROVED',
            `policy ${policy}: its filter returns 0x${found.toString(16)} for ${call}, but the policy says ${verdict}${hint(architectures)}`,
          )
        }
      }
    }
  }
}

/** Of what stacked programs return, the kernel takes the action with the lowest signed value (seccomp_run_filters of kernel/seccomp.c). */
function strictest(returned: readonly number[]): number {
  return returned.reduce((least, value) => ((value & 0xffff_0000) < (least & 0xffff_0000) ? value : least))
}

/** Each constant with its neighbours, and both ends, each once. */
function borders(constants: readonly number[]): number[] {
  const around = constants.flatMap((constant) => [constant - 1, constant, constant + 1])
  return [...new Set([0, ...around, 0xffff_ffff])].filter((number) => number >= 0 && number <= 0xffff_ffff)
}

function hint(architectures: readonly ResolvedArchitecture[]): string {
  const ruled = architectures.some(({ allowed }) => [...allowed.values()].some((rules) => rules !== null))
  return ruled ? '; libseccomp mistranslates some combinations of argument rules: write them with == and masked==' : ''
}

type Arguments = readonly bigint[]

const NO_ARGUMENTS: Arguments = []

/** For calls that do not look at their arguments. */
const ANY: readonly Arguments[] = [NO_ARGUMENTS]

function samples(rules: readonly Comparison[][] | null | undefined, bits: number): readonly Arguments[] {
  if (rules === null || rules === undefined) return ANY
  return [NO_ARGUMENTS, ...rules.flatMap((rule) => around(rule, bits))]
}

/** Arguments that satisfy a rule, and for each of its comparisons the values next to the border. */
function around(rule: Comparison[], bits: number): bigint[][] {
  const base = [0n, 0n, 0n, 0n, 0n, 0n]
  for (const comparison of rule) base[comparison.index] = BigInt.asUintN(bits, satisfying(comparison))
  const moved = rule.flatMap(({ index, value, mask }) => {
    const border = decodeUint64(value)
    const flipped = mask === undefined ? [] : [border ^ decodeUint64(mask), border | ~decodeUint64(mask)]
    return [border, border + 1n, border - 1n, border ^ (1n << 32n), border ^ (1n << 63n), ...flipped].map(
      (argument) => {
        const args = [...base]
        args[index] = BigInt.asUintN(bits, argument)
        return args
      },
    )
  })
  return [base, ...moved]
}

function satisfying({ op, value }: Comparison): bigint {
  const border = decodeUint64(value)
  if (op === '!=' || op === '>') return border + 1n
  if (op === '<') return border - 1n
  return border
}
