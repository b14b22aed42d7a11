import { lstatSync, readFileSync, rmSync, statSync } from 'node:fs'
import { SandboxError } from '../errors.ts'
import { FilterCache } from '../filter/cache.ts'
import { compileSource, lookUpFilter } from '../filter/lookup.ts'
import { decodeProgram, programProblem } from '../filter/program.ts'
import { writeOutput } from '../host/files.ts'
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
    if (programs.length > 1 && statSync(output, { throwIfNoEntry: false })?.isFile() === false) {
      throw new SandboxError(
        'USAGE',
        `compile: the filter has ${programs.length} programs, and ${output} has room for one; name a regular file with -o FILE`,
      )
    }
    for (const [index, program] of programs.entries()) writeOutput(fileOf(output, index), program)
    // Programs of an earlier compilation would be taken for some of this one.
    for (let index = programs.length; isProgram(fileOf(output, index)); index++) rmSync(fileOf(output, index))
    if (programs.length > 1) print(programs.map((_, index) => `${fileOf(output, index)}\n`).join(''))
    return 0
  },
}

function fileOf(output: string, index: number): string {
  return index === 0 ? output : `${output}.${index}`
}

/** Whether there is such a file, and it is a filter: another one of that name is not ours to remove. */
function isProgram(path: string): boolean {
  try {
    return lstatSync(path).isFile() && programProblem(decodeProgram(readFileSync(path))) === undefined
  } catch {
    return false
  }
}
