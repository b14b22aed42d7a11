/** What the script does when the shim is done: the only thing that is ever on the shim's standard output. */
import { usage } from './options.ts'

/** A line of shell that becomes the runtime. */
export function becomeCommand(program: string, args: readonly string[]): string {
  return `exec ${[program, ...args].map(quote).join(' ')}\n`
}

/** Between single quotes a shell takes everything for what it is, but the single quote. */
function quote(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`
}

/** Text that is no UTF-8 has been decoded already, so it could not be handed on as it was. Throws USAGE. */
export function requireText(args: readonly string[]): void {
  const bad = args.findIndex((argument) => argument.includes('\ufffd'))
  if (bad !== -1) throw usage(`argument ${bad + 1} is no UTF-8 text`)
}
