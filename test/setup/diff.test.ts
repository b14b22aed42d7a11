/** Our unified diff is one that patch(1) applies. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execa } from 'execa'
import { test } from 'tap'
import { unifiedDiff } from '../../src/setup/diff.ts'
import { Random } from '../lib/random.ts'

test('as diff -u writes it', async (t) => {
  t.equal(unifiedDiff('f', 'a\n', 'a\n'), '')
  t.equal(unifiedDiff('f', undefined, undefined), '')
  t.equal(unifiedDiff('f', undefined, 'a\n'), '--- /dev/null\n+++ f\n@@ -0,0 +1 @@\n+a\n')
  t.equal(unifiedDiff('f', 'a\n', undefined), '--- f\n+++ /dev/null\n@@ -1 +0,0 @@\n-a\n')
  t.equal(
    unifiedDiff('f', 'a\nb', 'a\nb\n'),
    '--- f\n+++ f\n@@ -1,2 +1,2 @@\n a\n-b\n\\ No newline at end of file\n+b\n',
  )
})

test('patch makes the one text of the other', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'oci-sandbox-diff-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  const file = join(directory, 'file')
  const numbers = new Random(7)
  const random = (limit: number) => numbers.below(limit)
  for (let round = 0; round < 40; round++) {
    const before = Array.from({ length: 1 + random(60) }, () => `line ${random(12)}\n`)
    const after = before.flatMap((line) =>
      random(6) === 0 ? ([[], [line, 'new\n'], ['other\n']][random(3)] ?? []) : [line],
    )
    const texts = [before.join(''), after.join('').slice(0, round % 4 === 0 ? -1 : undefined)] as const
    if (texts[1] === '') continue
    writeFileSync(file, texts[0])
    const { exitCode, stdout } = await execa('patch', ['-s', file], {
      input: unifiedDiff('file', ...texts),
      reject: false,
    })
    t.equal(exitCode, 0, stdout)
    t.equal(readFileSync(file, 'utf8'), texts[1], `round ${round}`)
  }
})
