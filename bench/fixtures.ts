/** What is measured: a copy of the build, and the small programs in bench/fixtures, compiled. */
import { execFileSync } from 'node:child_process'
import { copyFileSync, cpSync, mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { BUN, DIST, FIXTURE_SOURCES, FIXTURES, MEASURED } from './paths.ts'

const PROGRAMS = ['exit', 'empty-hook', 'timed-hook', 'measured', 'threads', 'calls', 'filtered', 'empty-tracepoint']

/** Static, as what the dynamic linker does is not what is measured. */
export function compileFixtures(): void {
  mkdirSync(FIXTURES, { recursive: true })
  for (const name of PROGRAMS) {
    const source = join(FIXTURE_SOURCES, `${name}.c`)
    execFileSync('gcc', ['-O2', '-Wall', '-Wextra', '-static', '-pthread', '-o', join(FIXTURES, name), source])
  }
  copyFileSync(join(FIXTURE_SOURCES, 'small.c'), join(FIXTURES, 'small.c'))
}

/** What the hooks are measured against: the same kind of program, built in the same way. */
export function buildBunFixtures(): void {
  for (const [source, output] of [
    ['empty-hook.ts', 'empty-hook-bun'],
    ['libseccomp-hook.ts', 'libseccomp-hook'],
  ] as const) {
    const built = join(FIXTURES, `${output}.new`)
    const switches = ['--compile', '--minify', '--bytecode', '--format=esm']
    execFileSync(BUN, ['build', ...switches, join(FIXTURE_SOURCES, source), '--outfile', built], { stdio: 'ignore' })
    rmSync(join(FIXTURES, output), { force: true })
    copyFileSync(built, join(FIXTURES, output))
    rmSync(built)
  }
}

export function copyBuild(): void {
  mkdirSync(MEASURED, { recursive: true })
  for (const name of ['oci-sandbox', 'oci-sandbox-runtime', 'oci-sandbox-tracer']) {
    rmSync(join(MEASURED, name), { force: true }) // a program that still runs cannot be written to
    cpSync(join(DIST, name), join(MEASURED, name), { verbatimSymlinks: true })
  }
}
