/** The enforce hook as the manifests have it, watched: does the helper repeat a decision, or become the program that decides? */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { execa } from 'execa'
import { OCI_SANDBOX, type Result, resultOf, type Sandbox, TRACER } from './sandbox.ts'

export interface Answer extends Result {
  /** Whether the program was asked. */
  readonly asked: boolean
}

let count = 0

/** A hook entry for bundles, and whether the program was asked when it ran last. */
export function watchedHook(sandbox: Sandbox, helper = TRACER) {
  const file = join(sandbox.directory, `calls-${++count}`)
  const line = ['-qq', '-o', file, '-e', 'trace=memfd_create', helper, 'hook', 'enforce', '--config', sandbox.config]
  return {
    entry: { path: '/usr/bin/strace', args: ['strace', ...line], env: ['PATH=/usr/sbin:/usr/bin:/sbin:/bin'] },
    line,
    // The state is put into memory for the program that is asked.
    asked: () => readFileSync(file, 'utf8').includes('memfd_create('),
  }
}

/** The hook with a state on its standard input. */
export async function ask(sandbox: Sandbox, state: string, helper = TRACER): Promise<Answer> {
  const { line, asked } = watchedHook(sandbox, helper)
  const ended = await execa('strace', line, { input: state, reject: false, extendEnv: false, env: {}, cwd: '/' })
  return { ...resultOf(ended), asked: asked() }
}

/** The program itself, which decides anew each time. */
export async function decide(sandbox: Sandbox, state: string): Promise<Result> {
  const line = ['hook', 'enforce', '--config', sandbox.config]
  const env = { BUN_JSC_useJIT: '0' }
  return resultOf(await execa(OCI_SANDBOX, line, { input: state, reject: false, extendEnv: false, env, cwd: '/' }))
}

/** Asks until the answer is a repeated one: what has just changed is not believed yet. Throws where that never comes. */
export async function untilRepeated(sandbox: Sandbox, state: string): Promise<Answer> {
  for (let round = 0; round < 100; round++) {
    const answer = await ask(sandbox, state)
    if (!answer.asked) return answer
  }
  throw new Error(`the decision is never remembered: ${state}`)
}

/** The one record of a sandbox. */
export function recordOf(sandbox: Sandbox): { path: string; text: string } {
  const [path, ...others] = sandbox.remembered()
  if (path === undefined || others.length > 0) throw new Error(`expected one record, found ${others.length + 1}`)
  return { path, text: readFileSync(path, 'utf8') }
}

/** Writes a record as it is; where `sum` is set its last line is made to fit. */
export function writeRecord(path: string, bytes: Buffer, digest?: (data: Buffer) => string): void {
  const body = digest === undefined ? bytes : bytes.subarray(0, bytes.lastIndexOf('sum '))
  const record = digest === undefined ? body : Buffer.concat([body, Buffer.from(`sum ${digest(body)}\n`)])
  writeFileSync(path, record, { mode: 0o600 })
}
