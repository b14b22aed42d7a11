/** What an imported profile comes to, compared with what libseccomp makes of the same entries, added as runc adds them. */
import { readFileSync } from 'node:fs'
import { SeccompError } from 'seccomp-bpf-wasm'
import { test } from 'tap'
import { compareRegions } from '../../../src/filter/compare.ts'
import { Diagram } from '../../../src/filter/diagram.ts'
import { evaluate, resolvePolicy } from '../../../src/filter/evaluate.ts'
import { seccompLibrary } from '../../../src/filter/library.ts'
import { meaningOf } from '../../../src/filter/meaning.ts'
import { decodePrograms, regionsOf } from '../../../src/filter/regions.ts'
import { Simulator } from '../../../src/filter/simulate.ts'
import { Collector } from '../../../src/policy/import/collector.ts'
import type { ReadOptions } from '../../../src/policy/import/formats.ts'
import { policyOfImport } from '../../../src/policy/import/policy.ts'
import { profileEntries } from '../../../src/policy/import/profile-entries.ts'
import { collect, NAMES, PROVENANCE, READ_OPTIONS } from '../../lib/imports.ts'
import { Random } from '../../lib/random.ts'

const CALLS = ['read', 'socket', 'ioctl']
/** Those that libseccomp translates without a mistake in any mixture. */
const OPERATORS = { SCMP_CMP_EQ: '==', SCMP_CMP_MASKED_EQ: 'masked==' } as const
const RET_ALLOW = 0x7fff_0000
const AUDIT_ARCH_X86_64 = 0xc000_003e

interface Argument {
  index: number
  value: number
  valueTwo: number
  op: keyof typeof OPERATORS
}

function randomProfile(random: Random) {
  const syscalls = Array.from({ length: 1 + random.below(5) }, () => {
    const args: Argument[] = []
    for (const index of [0, 1]) {
      if (!random.chance(0.4)) continue
      const op = random.pick(['SCMP_CMP_EQ', 'SCMP_CMP_MASKED_EQ'] as const)
      const value = random.below(4)
      args.push({ index, value, valueTwo: value & random.below(4), op })
    }
    const action = random.chance(0.7) ? 'SCMP_ACT_ALLOW' : 'SCMP_ACT_ERRNO'
    return { names: [random.pick(CALLS)], action, ...(action === 'SCMP_ACT_ERRNO' ? { errnoRet: 7 } : {}), args }
  })
  return { defaultAction: 'SCMP_ACT_ERRNO', defaultErrnoRet: 1, architectures: ['SCMP_ARCH_X86_64'], syscalls }
}

/** The program that a runtime would load, or undefined where libseccomp refuses the profile. */
function libseccompsProgram(profile: ReturnType<typeof randomProfile>): Uint8Array | undefined {
  using filter = seccompLibrary().filter({ defaultAction: { kind: 'errno', errno: 1 }, architectures: ['x86_64'] })
  try {
    for (const { names, action, args } of profile.syscalls) {
      const comparisons = args.map(({ index, value, valueTwo, op }) =>
        op === 'SCMP_CMP_MASKED_EQ'
          ? { index, op: OPERATORS[op], mask: BigInt(value), value: BigInt(valueTwo) }
          : { index, op: OPERATORS[op], value: BigInt(value) },
      )
      const kind = action === 'SCMP_ACT_ALLOW' ? ({ kind: 'allow' } as const) : ({ kind: 'errno', errno: 7 } as const)
      filter.add(kind, names[0] as string, comparisons)
    }
    return filter.toBPF()
  } catch (error) {
    if (error instanceof SeccompError && error.code === 'EEXIST') return undefined
    throw error
  }
}

test('a random profile allows what libseccomp makes of it, or less where the import says so', async (t) => {
  const random = new Random(20261121)
  let compared = 0
  let narrower = 0
  for (let round = 0; round < 1500; round++) {
    const profile = randomProfile(random)
    const program = libseccompsProgram(profile)
    if (program === undefined) continue
    const simulator = new Simulator(program)
    const collector = collect('oci', JSON.stringify(profile))
    const policy = policyOfImport('test', collector, PROVENANCE)
    const [resolved] = resolvePolicy(policy, (architecture, name) => NAMES.numberOf(architecture, name), [])
    const leftOut = collector.notes.some((note) => note.includes('left out'))
    for (const name of CALLS) {
      const number = NAMES.numberOf('x86_64', name) as number
      for (const args of [0, 1, 2, 3, 4].flatMap((a) => [0, 1, 2, 3].map((b) => [a, b, 0, 0, 0, 0].map(BigInt)))) {
        const theirs = simulator.run({ arch: AUDIT_ARCH_X86_64, number, args }) === RET_ALLOW
        const ours = resolved !== undefined && evaluate(resolved, number, args) === 'allow'
        if (ours && !theirs) return t.fail('the import allows more', { profile, name, args: args.map(String) })
        if (theirs && !ours && !leftOut)
          return t.fail('the import allows less', { profile, name, args: args.map(String) })
        if (theirs !== ours) narrower++
        compared++
      }
    }
  }
  t.ok(compared > 50_000, `${compared} calls compared, ${narrower} of them left out`)
})

/** podman's, of Debian's golang-github-containers-common, which follows Docker's. */
const DEFAULT = readFileSync('/usr/share/containers/seccomp.json', 'utf8')
/** What Docker gives a container by default (moby, oci/caps). */
const CAPABILITIES = [
  ...['AUDIT_WRITE', 'CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'FSETID', 'KILL', 'MKNOD', 'NET_BIND_SERVICE', 'NET_RAW'],
  ...['SETFCAP', 'SETGID', 'SETPCAP', 'SETUID', 'SYS_CHROOT'],
].map((name) => `CAP_${name}`)

const EPERM = { kind: 'errno', errno: 1 } as const

/** What runc has libseccomp make of the default profile for these architectures. */
function defaultProgram(conditions: ReadOptions, architectures: readonly ('x86_64' | 'x86' | 'x32')[]): Uint8Array {
  using filter = seccompLibrary().filter({ defaultAction: EPERM, badArchAction: EPERM, architectures })
  const notes = new Collector(NAMES, { observed: false })
  const entries = profileEntries(JSON.parse(DEFAULT).syscalls, conditions, notes, (problem) => {
    throw new Error(problem)
  })
  for (const { names, action, errno, rules = [[]] } of entries) {
    if (action !== 'SCMP_ACT_ALLOW' && errno === 'EPERM') continue
    const kind = action === 'SCMP_ACT_ALLOW' ? ({ kind: 'allow' } as const) : ({ kind: 'errno', errno: 38 } as const)
    for (const name of names) {
      if (!architectures.some((architecture) => NAMES.numberOf(architecture, name) !== undefined)) continue
      for (const rule of rules) {
        const comparisons = rule.map(({ index, op, value, mask }) => ({
          index: index as 0,
          op: op as Exclude<typeof op, 'range'>,
          value: BigInt(value),
          ...(mask === undefined ? {} : { mask: BigInt(mask) }),
        }))
        filter.add(kind, name, comparisons)
      }
    }
  }
  return filter.toBPF()
}

for (const [what, capabilities] of Object.entries({
  'no capabilities': [],
  "Docker's capabilities": CAPABILITIES,
  'more capabilities': [...CAPABILITIES, 'CAP_SYS_ADMIN', 'CAP_BPF', 'CAP_SYS_PTRACE'],
})) {
  test(`the default profile with ${what} allows exactly what it should, call by call and argument by argument`, async (t) => {
    const conditions = { ...READ_OPTIONS, capabilities: new Set(capabilities) }
    const imported = policyOfImport('test', collect('docker', DEFAULT, conditions), PROVENANCE)
    for (const architectures of [['x86_64'], ['x86_64', 'x86', 'x32']] as const) {
      const diagram = new Diagram()
      const lists = Object.fromEntries(architectures.map((name) => [name, imported.architectures[name]]))
      const ours = resolvePolicy({ ...imported, architectures: lists as never }, NAMES.numberOf, [])
      const theirs = regionsOf(diagram, decodePrograms([defaultProgram(conditions, architectures)]))
      const changes = compareRegions(diagram, theirs, meaningOf(diagram, ours, 'errno'))
      t.same(
        changes.filter(({ kind }) => kind !== 'changed'),
        [],
        architectures.join(' and '),
      )
    }
  })
}
