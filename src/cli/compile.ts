import { rmSync } from 'node:fs'
import { SandboxError } from '../errors.ts'
import { FilterCache } from '../filter/cache.ts'
import { compileSource, lookUpFilter } from '../filter/lookup.ts'
import { writeAtomic } from '../host/files.ts'
import { print } from '../host/output.ts'
import type { Command } from './command.ts'
import { loadSource } from './load.ts'
import { ACTION_OPTION, actionOf } from './options.ts'

export const compile: Command = {
  name: 'compile',
  operands: 'POLICY',
  summary: 'Compile a policy to a seccomp filter (raw BPF).',
  details:
    'POLICY is the name of a policy in the store, or a path with a slash. The file holds struct sock_filter[], little-endian, as\n' +
    'seccomp(2), bubblewrap --seccomp and crun take it. It holds the calls of the program alone: a runtime that loads it before\n' +
    'its own last steps needs more (see oci-sandbox policy export).\n' +
    'A policy with very many argument rules needs several programs: FILE, FILE.1, FILE.2 and so on, which are then named on\n' +
    'standard output. All of them must be installed, in this order.',
  options: {
    output: { type: 'string', short: 'o', value: 'FILE', help: 'write the filter to FILE' },
    action: ACTION_OPTION,
    'no-cache': { type: 'boolean', help: 'neither read nor write the cache of compiled filters' },
  },
  arity: [1, 1],
  async run({ operands, store, text, flag }) {
    const output = text('output')
    if (output === undefined) throw new SandboxError('USAGE', 'compile: say where to write the filter with -o FILE')
    const action = actionOf(text('action'))
    const source = await loadSource(store, operands[0] as string)
    const programs = flag('no-cache')
      ? await compileSource(source, action)
      : (await lookUpFilter(new FilterCache(store.root), source, action)).map(({ program }) => program)
    for (const [index, program] of programs.entries()) writeAtomic(fileOf(output, index), program)
    // Programs of an earlier compilation would be taken for some of this one.
    for (let index = programs.length; remove(fileOf(output, index)); index++);
    if (programs.length > 1) print(programs.map((_, index) => `${fileOf(output, index)}\n`).join(''))
    return 0
  },
}

function fileOf(output: string, index: number): string {
  return index === 0 ? output : `${output}.${index}`
}

/** Whether there was such a file. */
function remove(path: string): boolean {
  try {
    rmSync(path)
    return true
  } catch {
    return false
  }
}
