/** A call as people type it: its name or number, and its arguments. */
import { SandboxError } from '../errors.ts'
import { ARCHITECTURES, auditArch } from '../filter/architectures.ts'
import type { SyscallData } from '../filter/simulate.ts'
import { type ArchitectureName, registerBits } from '../policy/document.ts'
import { nativeArchitecture } from '../policy/native.ts'
import { SYSCALL_NAMES } from '../policy/syscall-names.ts'
import type { Option } from './command.ts'

export const ARCH_OPTION: Option = {
  type: 'string',
  value: 'ARCH',
  help: "the architecture (ABI) of the call: x86_64, x86, x32, aarch64, arm (default: this machine's)",
}

export interface TypedCall extends SyscallData {
  readonly architecture: ArchitectureName
  /** Undefined where the number has none. */
  readonly name: string | undefined
}

/** Throws USAGE. */
export function parseCall(call: string, args: readonly string[], architecture: string | undefined): TypedCall {
  const name = architectureOf(architecture)
  const number = /^\d/.test(call) ? Number(call) : SYSCALL_NAMES.numberOf(name, call)
  if (number === undefined) throw new SandboxError('USAGE', `${JSON.stringify(call)} is no syscall of ${name}`)
  if (!Number.isInteger(number) || number > 0xffff_ffff)
    throw new SandboxError('USAGE', `${call} is no syscall number: expected 0 to ${0xffff_ffff}`)
  return {
    architecture: name,
    name: SYSCALL_NAMES.nameOf(name, number),
    arch: auditArch(name),
    number,
    args: args.map((text, index) => parseArgument(text, index, registerBits(name))),
  }
}

export function architectureOf(text: string = nativeArchitecture(process.arch) ?? 'x86_64'): ArchitectureName {
  const name = ARCHITECTURES.find((known) => known === text)
  if (name === undefined) throw new SandboxError('USAGE', `--arch ${text}: expected ${ARCHITECTURES.join(', ')}`)
  return name
}

/** Decimal, hexadecimal or negative, as many bits as a register has. */
function parseArgument(text: string, index: number, bits: 32 | 64): bigint {
  const match = /^(-?)(0[xX][0-9a-fA-F]+|\d+)$/.exec(text)
  const value = match === null ? undefined : BigInt(match[2] as string) * (match[1] === '-' ? -1n : 1n)
  if (value === undefined || value >= 1n << BigInt(bits) || value < -(1n << BigInt(bits - 1)))
    throw new SandboxError('USAGE', `argument ${index}: ${JSON.stringify(text)} is no number of ${bits} bits`)
  return BigInt.asUintN(bits, value)
}
