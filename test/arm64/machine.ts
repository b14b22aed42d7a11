/** A virtual arm64 machine: Debian's kernel, an initial file system of ours, and a list of commands that it executes. */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { execa } from 'execa'

export interface Step {
  /** What the command has printed. */
  readonly text: string
  /** The wait status of the command; undefined: the machine did not come to its end. */
  readonly status?: number
}

/** Starts a machine with more files, executes commands, and returns what they have printed, by name. */
export type Boot = (
  files: Readonly<Record<string, Uint8Array>>,
  commands: Readonly<Record<string, readonly string[]>>,
) => Promise<Record<string, Step>>

/** One member of an archive in cpio's format newc (Documentation/driver-api/early-userspace/buffer-format.rst). */
function member(name: string, mode: number, data: Uint8Array, inode: number): Buffer {
  const numbers = [inode, mode, 0, 0, 1, 0, data.length, 0, 0, 0, 0, name.length + 1, 0]
  const header = `070701${numbers.map((number) => number.toString(16).padStart(8, '0')).join('')}${name}\0`
  const padding = (length: number) => Buffer.alloc(-length & 3)
  return Buffer.concat([Buffer.from(header), padding(header.length), data, padding(data.length)])
}

const DIRECTORY = 0o40755
const PROGRAM = 0o100755

/** An initial file system of these files; all of them can be executed. */
export function archive(files: Readonly<Record<string, Uint8Array>>): Buffer {
  const directories = new Set(Object.keys(files).flatMap((name) => name.split('/').slice(0, -1)))
  const none = new Uint8Array(0)
  return Buffer.concat([
    ...[...directories].map((name, index) => member(name, DIRECTORY, none, index + 1)),
    ...Object.entries(files).map(([name, data], index) => member(name, PROGRAM, data, directories.size + index + 1)),
    member('TRAILER!!!', 0, none, 0),
  ])
}

/** Commands by name, each executed when the one before it has ended, without a shell. */
export async function execute(
  directory: string,
  kernel: string,
  files: Readonly<Record<string, Uint8Array>>,
  commands: Readonly<Record<string, readonly string[]>>,
  seconds: number,
): Promise<{ steps: Record<string, Step>; console: string }> {
  const names = Object.keys(commands)
  const list = names.map((name, index) => `${index} ${(commands[name] ?? []).join(' ')}\n`).join('')
  const initial = join(directory, 'initrd')
  await writeFile(initial, archive({ ...files, commands: Buffer.from(list) }))
  const machine = ['-machine', 'virt', '-cpu', 'cortex-a57', '-smp', '2', '-m', '1024']
  const quiet = ['-nodefaults', '-display', 'none', '-serial', 'stdio', '-no-reboot']
  const boot = ['-kernel', kernel, '-initrd', initial, '-append', 'console=ttyAMA0 quiet panic=-1']
  const { stdout, stderr } = await execa('qemu-system-aarch64', [...machine, ...quiet, ...boot], {
    reject: false,
    stdin: 'ignore',
    timeout: seconds * 1000,
    killSignal: 'SIGKILL',
  })
  const console = `${stdout}\n${stderr}`.replaceAll('\r', '')
  return { steps: Object.fromEntries(names.map((name, index) => [name, stepOf(console, index)])), console }
}

function stepOf(console: string, index: number): Step {
  const [, after] = console.split(`\n@begin ${index}\n`)
  if (after === undefined) return { text: '' }
  const end = /\n@end (\d+)\n/.exec(after)
  return end === null ? { text: after } : { text: after.slice(0, end.index), status: Number(end[1]) }
}

export const contentOf = async (directory: string, names: readonly string[]): Promise<Record<string, Uint8Array>> =>
  Object.fromEntries(
    await Promise.all(names.map(async (name) => [`bin/${name}`, await readFile(join(directory, name))])),
  )
