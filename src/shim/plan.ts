/** What the helper does when the shim is done: the only thing that is ever on the shim's standard output. */
import { usage } from './options.ts'

/** The program that the helper becomes, and its arguments: how many, and each of them, with a NUL behind each; so a part is never taken for the whole. */
export function encodePlan(command: readonly string[]): string {
  return [String(command.length), ...command].map((word) => `${word}\0`).join('')
}

/** Text that is no UTF-8 has been decoded already, so it could not be handed on as it was. Throws USAGE. */
export function requireText(args: readonly string[]): void {
  const bad = args.findIndex((argument) => argument.includes('\ufffd'))
  if (bad !== -1) throw usage(`argument ${bad + 1} is no UTF-8 text`)
}
