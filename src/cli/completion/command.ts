import { SandboxError } from '../../errors.ts'
import { print } from '../../host/output.ts'
import type { Command } from '../command.ts'
import { bashCompletion } from './bash.ts'
import { fishCompletion } from './fish.ts'
import { entriesOf } from './model.ts'
import { zshCompletion } from './zsh.ts'

const SHELLS = { bash: bashCompletion, zsh: zshCompletion, fish: fishCompletion }

export const completion: Command = {
  name: 'completion',
  operands: 'bash|zsh|fish',
  summary: "Write a shell's completion of oci-sandbox to standard output.",
  details:
    'make install puts them where the shells look. Without it: source <(oci-sandbox completion bash); for zsh into a file\n' +
    '_oci-sandbox in a directory of $fpath; for fish into ~/.config/fish/completions/oci-sandbox.fish.',
  arity: [1, 1],
  async run({ operands: [shell = ''] }) {
    const { COMMANDS } = await import('../dispatch.ts')
    if (!Object.hasOwn(SHELLS, shell)) {
      throw new SandboxError('USAGE', `completion ${shell}: expected ${Object.keys(SHELLS).join(', ')}`)
    }
    print(SHELLS[shell as keyof typeof SHELLS](entriesOf(COMMANDS)))
    return 0
  },
}
