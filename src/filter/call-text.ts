/** Calls in words. */
import type { ArchitectureName } from '../policy/document.ts'
import { ARCHITECTURES, auditArch, numberSpaceEnd, numberSpaceStart } from './architectures.ts'
import type { SyscallData } from './simulate.ts'

/** The ABI that a call is of, where it is one that policies know. */
export function abiOf(arch: number, number: number): ArchitectureName | undefined {
  return ARCHITECTURES.find(
    (name) => auditArch(name) === arch && number >= numberSpaceStart(name) && number < numberSpaceEnd(name),
  )
}

/** "x86_64 syscall 2(1, 0x50000, 0)": zeros at the end are left out. */
export function describeCall({ arch, number, args, pointer = 0n }: SyscallData): string {
  const last = args.findLastIndex((argument) => argument !== 0n)
  const from = pointer === 0n ? '' : ` from the instruction at 0x${pointer.toString(16)}`
  const abi = abiOf(arch, number) ?? `architecture 0x${arch.toString(16)}`
  return `${abi} syscall ${number}(${args
    .slice(0, last + 1)
    .map(argumentText)
    .join(', ')})${from}`
}

/** Small numbers decimal, others hexadecimal. */
export function argumentText(argument: bigint): string {
  return argument < 10_000n ? String(argument) : `0x${argument.toString(16)}`
}
