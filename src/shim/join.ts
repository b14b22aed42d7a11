/** exec: a program that joins a container. */
import type { Invocation } from './invocation.ts'

export async function join({ command, subcommand }: Invocation): Promise<readonly string[]> {
  return [...command.globals, subcommand, ...command.rest]
}
