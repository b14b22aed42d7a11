/** oci-sandbox: the commands that people type, and the hooks that runtimes start. */
import { runHook } from '../../hooks/main.ts'
import { asSandboxError, oneLine } from '../errors.ts'
import { printError } from '../host/output.ts'
import { runShim } from '../shim/main.ts'

/** Exit codes: 1 where something is wrong, 2 where the command line is. */
const EXIT_FAILURE = 1
const EXIT_USAGE = 2

async function main(args: readonly string[]): Promise<number> {
  // What runtimes start is loaded at once: an import() would cost it more than a millisecond.
  if (args[0] === 'hook' && !args.includes('--help') && !args.includes('-h')) return runHook(args.slice(1))
  if (args[0] === 'shim') return runShim(args.slice(1))
  const { dispatch } = await import('./dispatch.ts')
  return dispatch(args)
}

// No top-level await: modules that wait would have to wait for this one, so the bundler would lay out all that they share with it in a
// dozen files, each of which costs every start (scripts/build-binary).
main(process.argv.slice(2)).then(
  (code) => {
    process.exitCode = code
  },
  (cause) => {
    const error = asSandboxError(cause)
    printError(`oci-sandbox: ${oneLine(error)} [${error.code}]\n`)
    process.exitCode = error.code === 'USAGE' ? EXIT_USAGE : EXIT_FAILURE
  },
)
