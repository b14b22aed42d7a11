/** Replaces this process by another program: what is left of a hook need not wait in a JavaScript engine. */

/**
 * execve(2) with an empty environment; standard input, output and error stay, no other descriptor does. Bun leaves SIGPIPE and SIGXFSZ
 * ignored and RLIMIT_NOFILE raised, which the program must expect. Throws where it fails.
 */
export function replaceProcess(program: string, args: readonly string[]): void {
  process.execve?.(program, [program, ...args], {})
}
