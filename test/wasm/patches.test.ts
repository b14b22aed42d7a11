// Each patch of libseccomp/patches mends what it says: with all patches it works, with that one left out it does not.
// Natively, with AddressSanitizer: see fixtures/defects.c and fixtures/build-variants.
import { execFileSync, spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Arch } from 'seccomp-bpf-wasm'
import { test } from 'tap'
import { seccomp } from './helpers/seccomp.ts'
import { simulate } from './helpers/simulate.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const folder = `${root}build/test/variants`

execFileSync(`${root}test/wasm/fixtures/build-variants`, [folder], { stdio: 'inherit' })

/** What a variant of libseccomp does in one of the cases of defects.c. */
const run = (variant: string, what: string, leaks: 0 | 1 = 0) => {
  // What is freed twice, overrun or, where that is the question, never freed ends the process with 99.
  const env = { ASAN_OPTIONS: `detect_leaks=${leaks}:exitcode=99:abort_on_error=0` }
  const { status, stdout, stderr } = spawnSync(`${folder}/${variant}`, [what], { env, maxBuffer: 1 << 26 })
  return { status, bytes: new Uint8Array(stdout), output: stdout.toString(), report: stderr.toString() }
}

const x86_64 = 0xc000003e
const ioctl = 16
const allow = 0x7fff0000
const errno1 = 0x00050001

test('every patch has its test here', async (t) => {
  const patches = readdirSync(`${root}libseccomp/patches`).map((name) => name.slice(0, 4))
  t.same(patches.sort(), ['0001', '0002', '0003', '0004', '0005', '0006', '0007', '0008'])
})

test('0001: of two overlapping < rules the narrower one wins, in whatever order they are added', async (t) => {
  const answers = (variant: string, what: string) => {
    const { status, bytes } = run(variant, what)
    t.equal(status, 0)
    // Upper half below, at and above that of the rules' values, 0x1_0000_0005 (errno) and 0x1_0000_0009 (allow).
    return [0n, 0xffffffffn, 0x100000004n, 0x100000005n, 0x100000008n, 0x100000009n, 0x200000000n].map((value) =>
      simulate(bytes, { nr: ioctl, arch: x86_64, args: [value] }),
    )
  }
  const right = [errno1, errno1, errno1, allow, allow, 0, 0]
  t.same(answers('all', 'false-action'), right, 'wider rule first')
  t.same(answers('all', 'false-action-reversed'), right, 'narrower rule first')
  t.same(answers('without-0001', 'false-action').slice(0, 2), [allow, allow], 'without the patch: weaker')
})

test('0002: a program of 65536 instructions ends in E2BIG and is empty', async (t) => {
  t.match(run('all', 'oversized'), { status: 0, output: 'E2BIG 0 empty\n' })
  t.match(run('without-0002', 'oversized'), { status: 99, report: /AddressSanitizer/ })
})

test('0002: after a failure the program is freed once', async (t) => {
  t.equal(run('all', 'failed-append').status, 0)
  t.match(run('without-0002', 'failed-append'), { status: 99, report: /double-free/ })
})

test('0002: a filter that is too long ends in E2BIG, again and again, and leaks nothing', async (t) => {
  t.match(run('all', 'too-long', 1), { status: 0, output: 'E2BIG 0\nE2BIG 0\n' })
  t.match(run('all', 'too-many-calls', 1), { status: 0, output: 'E2BIG 0\n' })
  const { output } = run('without-0002', 'too-long')
  t.match(output, /^other \d+\n/, 'without the patch: a program that no kernel takes')
})

test('0003: a buffer can be made smaller', async (t) => {
  t.match(run('all', 'shrink'), { status: 0, output: `${'x'.repeat(16)}\n` })
  t.match(run('without-0003', 'shrink'), { status: 99, report: /negative-size-param/ })
})

test("0004: exporting reads the program's bytes only", async (t) => {
  t.match(run('all', 'export-length'), { status: 0, output: 'kept\n' })
  t.match(run('without-0004', 'export-length'), { status: 99, report: /heap-buffer-overflow.*\nREAD/ })
})

test('0005: blocks spread over all buckets of the hash table', async (t) => {
  const [used = 0, longest = 0] = run('all', 'buckets').output.split(' ').map(Number)
  // 4096 blocks in 1024 buckets: a good hash leaves 1/e^4 of them empty (19).
  t.ok(used > 980, `${used} buckets used`)
  t.ok(longest < 24, `at most ${longest} blocks in one`)
  const [usedBefore = 0, longestBefore = 0] = run('without-0005', 'buckets').output.split(' ').map(Number)
  t.equal(usedBefore, 8, 'without the patch: 8 buckets')
  t.ok(longestBefore >= 512, `without the patch: ${longestBefore} blocks in one`)
})

test('0005: the programs stay the same, byte for byte', async (t) => {
  const [after, before] = [run('all', 'large'), run('without-0005', 'large')]
  t.ok(after.bytes.length / 8 > 500, `${after.bytes.length / 8} instructions`)
  t.same(after.bytes, before.bytes)
})

test('0006: equal action blocks are not made again and again, and the programs stay the same, byte for byte', async (t) => {
  for (const what of ['large', 'calls']) {
    const [after, before] = [run('all', what), run('without-0006', what)]
    t.ok(after.bytes.length / 8 > 300, `${what}: ${after.bytes.length / 8} instructions`)
    t.same(after.bytes, before.bytes, what)
    if (what === 'large') continue
    // Four hashes for each block: one block for each of 300 calls, and a few more.
    t.ok(Number(after.report) < 4 * 310, `${after.report.trim()} hashes`)
    t.ok(Number(before.report) >= 4 * 600, `without the patch: ${before.report.trim()} hashes`)
  }
})

test('0007: rules that are added together make the same program, all of them or none', async (t) => {
  const together = run('all', 'together', 1)
  t.match(together, { status: 0, report: '' })
  t.same(together.bytes, run('all', 'calls').bytes)
  t.match(run('without-0007', 'together'), { status: 1, report: /^db_col_rules_add/ })
})

test('0008: names are found that were found before, and no others', async (t) => {
  const [after, before] = [run('all', 'names').output, run('without-0008', 'names').output]
  t.ok(after.split('\n').length > 500)
  t.match(after, /^io_setup 206 245$/m)
  t.match(after, /^iosetup -1$/m)
  t.equal(after, before)
})

test('gcc and Emscripten make libseccomp export the same bytes', async (t) => {
  // The rules of large() in defects.c.
  const architectures: Arch[] = ['x86_64', 'x86', 'aarch64']
  const kill = { kind: 'killThread' } as const
  using filter = seccomp.filter({ defaultAction: kill, badArchAction: kill, architectures })
  for (let i = 0; i < 400; i++) {
    const call = ['ioctl', 'fcntl', 'prctl', 'openat'][i % 4] ?? ''
    const op = i % 32 === 0 ? '>=' : '=='
    filter.add({ kind: 'allow' }, call, [{ index: i % 4, op, value: BigInt((i * 7919) % 100003) }])
  }
  t.same(filter.toBPF(), run('all', 'large').bytes)
})
