/** The table of names is libseccomp's. */
import { archNames } from 'seccomp-bpf-wasm'
import t from 'tap'
import { ARCHITECTURES } from '../../src/filter/architectures.ts'
import { seccompLibrary } from '../../src/filter/library.ts'
import { SYSCALL_NAMES } from '../../src/policy/syscall-names.ts'

const library = seccompLibrary()

for (const architecture of ARCHITECTURES) {
  t.test(architecture, async (t) => {
    const calls = [...library.syscalls(architecture)]
    t.same([...SYSCALL_NAMES.all(architecture)], [...library.syscalls(architecture).keys()])
    t.same(
      calls.map(([name]) => SYSCALL_NAMES.numberOf(architecture, name)),
      calls.map(([, number]) => number),
    )
    t.equal(SYSCALL_NAMES.highest(architecture), library.highest(architecture))
    const differs = (number: number) =>
      SYSCALL_NAMES.nameOf(architecture, number) !== library.resolveNumber(architecture, number)
    // Asked for x32, libseccomp also takes numbers without x32's bit 30; no filter sees such ones.
    for (const start of [...(architecture === 'x32' ? [] : [0]), 0x4000_0000, 0xf_0000])
      t.same(Array.from({ length: 2000 }, (_, index) => start + index).filter(differs), [], `numbers from ${start}`)
    for (const name of ['opne', '', 'read ', 'read write', 'constructor', '-1'])
      t.equal(SYSCALL_NAMES.numberOf(architecture, name), undefined, JSON.stringify(name))
  })
}

t.test('names of any architecture', async (t) => {
  for (const architecture of archNames)
    for (const name of library.syscalls(architecture).keys())
      if (!SYSCALL_NAMES.exists(name)) t.fail(`${architecture} ${name}`)
  for (const name of ['opne', '', 'read write']) t.notOk(SYSCALL_NAMES.exists(name), JSON.stringify(name))
  t.equal(SYSCALL_NAMES.numberOf('mips' as 'x86', 'read'), undefined, 'an architecture that policies do not have')
})
