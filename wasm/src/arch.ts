/**
 * The architectures that libseccomp knows: one table, and views of it.
 *
 * `audit` is what the kernel puts into `seccomp_data.arch` (AUDIT_ARCH_* of linux/audit.h); `token` is libseccomp's own
 * number (SCMP_ARCH_* of seccomp.h), which differs for x32 only: the kernel shows x32's calls as x86-64 with bit 30 set in
 * the number. `bits` is how much of an argument libseccomp compares.
 */
const table = {
  x86_64: { scmp: 'SCMP_ARCH_X86_64', token: 0xc000003e, audit: 0xc000003e, bits: 64, littleEndian: true },
  x86: { scmp: 'SCMP_ARCH_X86', token: 0x40000003, audit: 0x40000003, bits: 32, littleEndian: true },
  x32: { scmp: 'SCMP_ARCH_X32', token: 0x4000003e, audit: 0xc000003e, bits: 32, littleEndian: true },
  aarch64: { scmp: 'SCMP_ARCH_AARCH64', token: 0xc00000b7, audit: 0xc00000b7, bits: 64, littleEndian: true },
  arm: { scmp: 'SCMP_ARCH_ARM', token: 0x40000028, audit: 0x40000028, bits: 32, littleEndian: true },
  loongarch64: { scmp: 'SCMP_ARCH_LOONGARCH64', token: 0xc0000102, audit: 0xc0000102, bits: 64, littleEndian: true },
  m68k: { scmp: 'SCMP_ARCH_M68K', token: 0x00000004, audit: 0x00000004, bits: 32, littleEndian: false },
  mips: { scmp: 'SCMP_ARCH_MIPS', token: 0x00000008, audit: 0x00000008, bits: 32, littleEndian: false },
  mipsel: { scmp: 'SCMP_ARCH_MIPSEL', token: 0x40000008, audit: 0x40000008, bits: 32, littleEndian: true },
  mips64: { scmp: 'SCMP_ARCH_MIPS64', token: 0x80000008, audit: 0x80000008, bits: 64, littleEndian: false },
  mipsel64: { scmp: 'SCMP_ARCH_MIPSEL64', token: 0xc0000008, audit: 0xc0000008, bits: 64, littleEndian: true },
  mips64n32: { scmp: 'SCMP_ARCH_MIPS64N32', token: 0xa0000008, audit: 0xa0000008, bits: 32, littleEndian: false },
  mipsel64n32: { scmp: 'SCMP_ARCH_MIPSEL64N32', token: 0xe0000008, audit: 0xe0000008, bits: 32, littleEndian: true },
  parisc: { scmp: 'SCMP_ARCH_PARISC', token: 0x0000000f, audit: 0x0000000f, bits: 32, littleEndian: false },
  parisc64: { scmp: 'SCMP_ARCH_PARISC64', token: 0x8000000f, audit: 0x8000000f, bits: 64, littleEndian: false },
  ppc: { scmp: 'SCMP_ARCH_PPC', token: 0x00000014, audit: 0x00000014, bits: 32, littleEndian: false },
  ppc64: { scmp: 'SCMP_ARCH_PPC64', token: 0x80000015, audit: 0x80000015, bits: 64, littleEndian: false },
  ppc64le: { scmp: 'SCMP_ARCH_PPC64LE', token: 0xc0000015, audit: 0xc0000015, bits: 64, littleEndian: true },
  riscv64: { scmp: 'SCMP_ARCH_RISCV64', token: 0xc00000f3, audit: 0xc00000f3, bits: 64, littleEndian: true },
  s390: { scmp: 'SCMP_ARCH_S390', token: 0x00000016, audit: 0x00000016, bits: 32, littleEndian: false },
  s390x: { scmp: 'SCMP_ARCH_S390X', token: 0x80000016, audit: 0x80000016, bits: 64, littleEndian: false },
  sh: { scmp: 'SCMP_ARCH_SH', token: 0x4000002a, audit: 0x4000002a, bits: 32, littleEndian: true },
  sheb: { scmp: 'SCMP_ARCH_SHEB', token: 0x0000002a, audit: 0x0000002a, bits: 32, littleEndian: false },
} as const

export type Arch = keyof typeof table

export type ArchDescription = {
  /** The constant of seccomp.h, as OCI profiles write it. */
  readonly scmp: `SCMP_ARCH_${string}`
  readonly token: number
  readonly audit: number
  readonly bits: 32 | 64
  readonly littleEndian: boolean
}

export const architectures: Readonly<Record<Arch, ArchDescription>> = table

export const archNames = Object.keys(table) as readonly Arch[]

/** Whether a text is the name of an architecture here (libseccomp's names: `x86_64`, `aarch64`, ...). */
export const isArch = (name: string): name is Arch => Object.hasOwn(table, name)

/** The architecture that OCI profiles name `SCMP_ARCH_...`; undefined when there is none. */
export const archFromScmp = (scmp: string): Arch | undefined => archNames.find((name) => table[name].scmp === scmp)

/** The architecture of a `seccomp_data.arch` value; x86-64 and x32 share theirs, and the answer is then x86-64. */
export const archFromAudit = (audit: number): Arch | undefined =>
  archNames.find((name) => table[name].audit === audit >>> 0)
