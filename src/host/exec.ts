/** Node has no stable way to replace its process: whoever asks must start a child instead. */
export function replaceProcess(_program: string, _args: readonly string[]): void {}
