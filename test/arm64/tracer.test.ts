/** The tracer for arm64, built here: whether it compiles, and what comes out. machine.test.ts runs it. */
import { readFile } from 'node:fs/promises'
import { test } from 'tap'
import { buildTracer, tracer } from './build.ts'

/** EM_AARCH64 of elf.h, and where struct Elf64_Ehdr and Elf64_Phdr have what is looked at. */
const EM_AARCH64 = 183
const PT_INTERP = 3

test('the tracer compiles for arm64 without a warning, to one static program', async (t) => {
  await buildTracer()
  const elf = await readFile(tracer)
  t.equal(elf.toString('latin1', 0, 4), '\x7fELF')
  t.equal(elf.readUInt16LE(18), EM_AARCH64)
  const [start, size, count] = [Number(elf.readBigUInt64LE(32)), elf.readUInt16LE(54), elf.readUInt16LE(56)]
  const types = Array.from({ length: count }, (_, index) => elf.readUInt32LE(start + index * size))
  t.ok(types.length > 2)
  t.notOk(types.includes(PT_INTERP), 'needs no dynamic linker')
})
