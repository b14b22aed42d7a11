/**
 * harden-binary FILE OUTPUT: takes from a Bun standalone binary the environment variables that make Bun do something else than run the program in
 * it: become Bun itself, load further code, listen for a debugger, change how it compiles C, write what it knows of its bytecode to any file. A hook inherits its runtime's environment where
 * its manifest sets none. The names are overwritten with ones that no environment can hold (a NUL ends a variable).
 *
 * The output is a new file: written in one go it lies in the page cache in large pieces, and starts 2 ms sooner than what was written in
 * many.
 */
import { readFileSync, writeFileSync } from 'node:fs'

const NAMES = [
  ...['BUN_BE_BUN', 'BUN_OPTIONS', 'BUN_INSPECT', 'BUN_TCC_OPTIONS'],
  ...['BUN_BYTECODE_ORDER_OUT', 'BUN_BYTECODE_ORDER_NAMES_OUT', 'BUN_BYTECODE_DIGEST_OUT'],
]

const [file, output] = process.argv.slice(2)
if (file === undefined || output === undefined) throw new Error('usage: harden-binary FILE OUTPUT')
const binary = readFileSync(file)
for (const name of NAMES) {
  let found = 0
  for (let at = binary.indexOf(name); at !== -1; at = binary.indexOf(name, at + 1)) {
    binary[at + 'BUN'.length] = 0
    found++
  }
  // A new version of Bun may have renamed it: then look at what it reads now, before shipping it.
  if (found === 0)
    throw new Error(`${file} does not hold ${name}: look for the variables that this version of Bun reads`)
}
writeFileSync(output, binary, { mode: 0o755 })
