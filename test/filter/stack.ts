/** Programs in the kernel: see fixtures/stack.c. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

interface Teardown {
  teardown(handler: () => unknown): void
}

/**
 * Installs programs in a process of its own, the first one first, then makes calls: NUMBER,ARGUMENT,... The results are what each call
 * returned, or negative errnos.
 */
export function stack(
  t: Teardown,
  programs: readonly Uint8Array[],
  calls: readonly string[] = [],
): { installed: number[]; results: number[] } {
  const directory = mkdtempSync(join(tmpdir(), 'oci-sandbox-stack-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  const fixture = join(directory, 'stack')
  execFileSync('gcc', ['-O1', '-Wall', '-o', fixture, join(import.meta.dirname, 'fixtures/stack.c')])
  const files = programs.map((program, index) => {
    const path = join(directory, `${index}.bpf`)
    writeFileSync(path, program)
    return path
  })
  const output = execFileSync(fixture, [...files, '--', ...calls], { encoding: 'utf8' })
  const numbers = output.trim().split('\n').map(Number)
  return { installed: numbers.slice(0, files.length), results: numbers.slice(files.length) }
}
