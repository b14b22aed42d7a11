import { basename, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { SandboxError } from '../errors.ts'
import { readTrusted } from '../host/files.ts'
import { locateProgram, startHeld } from '../host/launcher.ts'
import { printError } from '../host/output.ts'
import { isRunning } from '../learn/live.ts'
import { foldPendingRuns, RECORD } from '../learn/pending.ts'
import { startLearning } from '../learn/start.ts'
import { decodeStream } from '../learn/stream.ts'
import { DETAILS, type Detail } from '../oci/annotations.ts'
import { isPolicyName, NAME_RULE } from '../policy/name.ts'
import { policyStatus } from '../policy/status.ts'
import type { Store } from '../policy/store.ts'
import type { Command } from './command.ts'
import { count } from './text.ts'

const MAX_ARGUMENTS = 100_000

/** How long the tracer may take for its last lines, after the program's end. Milliseconds. */
const LAST_LINES = 5_000

export const learnCommand: Command = {
  name: 'learn',
  operands: '-- COMMAND [ARGUMENT...]',
  summary: 'Run a command on this host, without a container, and learn its policy.',
  details:
    'The run is merged into the policy NAME. The exit code is that of the command, 128 and more for a signal. Options stand before --.\n' +
    'Processes that the command leaves behind are recorded until they end; their run is merged by the next command that looks.',
  options: {
    name: { type: 'string', value: 'NAME', help: "the policy (default: the command's file name)" },
    detail: { type: 'string', value: DETAILS.join('|'), help: 'how much is recorded (default: names)' },
    quiet: { type: 'boolean', short: 'q', help: 'say nothing at the end' },
  },
  arity: [1, MAX_ARGUMENTS],
  async run({ operands, settings, store, text, flag }) {
    const name = nameOf(text('name'), operands[0] as string)
    const detail = detailOf(text('detail'))
    if (!settings.modes.includes('learn')) {
      throw new SandboxError(
        'NOT_PERMITTED',
        `learning is not permitted on this host (its configuration permits: ${settings.modes.join(', ')})`,
      )
    }
    const program = locateProgram(operands[0] as string)
    store.prepare(name)
    const held = await startHeld(program, operands.slice(1), store.directory(name))
    let run: string
    try {
      const { setNoNewPrivileges, learn } = settings
      run = startLearning(store, { policy: name, pid: held.pid, detail, backend: learn.backend, setNoNewPrivileges })
    } catch (error) {
      held.cancel()
      throw error
    }
    const code = await held.run()
    await lastLines(store, name, run)
    await foldPendingRuns(store, name)
    if (!flag('quiet')) printError(summary(store, name, run))
    return code
  },
}

function nameOf(name: string | undefined, command: string): string {
  const chosen = name ?? basename(command)
  if (isPolicyName(chosen)) return chosen
  throw new SandboxError('USAGE', `${JSON.stringify(chosen)} is no policy's name: ${NAME_RULE}; choose one with --name`)
}

function detailOf(text: string | undefined): Detail {
  const detail = DETAILS.find((known) => known === (text ?? 'names'))
  if (detail === undefined) throw new SandboxError('USAGE', `--detail ${text}: expected ${DETAILS.join(', ')}`)
  return detail
}

/** Waits until the record has its last line, or its tracer is gone, or other processes of the command have kept it too long. */
async function lastLines(store: Store, name: string, run: string): Promise<void> {
  for (const deadline = Date.now() + LAST_LINES; Date.now() < deadline; await delay(5)) {
    const record = readTrusted(join(store.runs(name), run + RECORD))
    const trace = record === undefined ? undefined : decodeStream(record.toString('utf8'))
    if (trace?.hello === undefined || trace.finish !== undefined || !isRunning(trace.hello)) return
  }
}

function summary(store: Store, name: string, run: string): string {
  const policy = store.list().includes(name) && store.readText(name) !== undefined ? store.read(name) : undefined
  const learned = policy?.runs.find(({ id }) => id === run)
  if (policy === undefined || learned === undefined) {
    return `oci-sandbox: policy ${name}: processes of the command go on; their run is merged when they have ended\n`
  }
  const fresh = policyStatus(policy).runs.find(({ id }) => id === run)?.new ?? 0
  const state = learned.complete ? 'complete' : `partial (${learned.reason})`
  return `oci-sandbox: policy ${name}: run ${state}, ${count(learned.calls, 'call')}, ${learned.distinct} different, ${fresh} new, ${count(learned.tasks, 'task')}\n`
}
