import { basename, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { isatty } from 'node:tty'
import { SandboxError } from '../errors.ts'
import { readTrusted } from '../host/files.ts'
import { locateProgram, startHeld } from '../host/launcher.ts'
import { printError } from '../host/output.ts'
import { isRunning } from '../learn/live.ts'
import { foldPendingRuns, RECORD } from '../learn/pending.ts'
import { type Progress, progressOf, rateBetween } from '../learn/progress.ts'
import { startLearning } from '../learn/start.ts'
import { decodeStream } from '../learn/stream.ts'
import { runSummary } from '../learn/summary.ts'
import { DETAILS, type Detail } from '../oci/annotations.ts'
import { isPolicyName, NAME_RULE } from '../policy/name.ts'
import type { Store } from '../policy/store.ts'
import type { Command } from './command.ts'

const MAX_ARGUMENTS = 100_000

/** How often the progress is shown. Milliseconds. */
const PROGRESS = 1000

/** How long the tracer may take for its last lines, after the program's end. Milliseconds. */
const LAST_LINES = 5_000

export const learnCommand: Command = {
  name: 'learn',
  operands: '-- COMMAND [ARGUMENT...]',
  summary: 'Run a command on this host, without a container, and learn its policy.',
  details:
    'The run is merged into the policy NAME. The exit code is that of the command, 128 and more for a signal. Options stand before --.\n' +
    'On a terminal a line on standard error says how many calls there have been. When the command has ended, a summary says whether the\n' +
    'run is complete, or why not.\n' +
    'Processes that the command leaves behind are recorded until they end; their run is merged by the next command that looks.',
  options: {
    name: { type: 'string', value: 'NAME', help: "the policy (default: the command's file name)" },
    detail: { type: 'string', value: DETAILS.join('|'), help: 'how much is recorded (default: names)' },
    quiet: { type: 'boolean', short: 'q', help: 'show no progress on a terminal, and say nothing at the end' },
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
      run = await startLearning(store, {
        policy: name,
        pid: held.pid,
        detail,
        backend: learn.backend,
        setNoNewPrivileges,
      })
    } catch (error) {
      held.cancel()
      throw error
    }
    const progress = flag('quiet') || !isatty(2) ? undefined : showProgress(store, name, run)
    const code = await held.run()
    progress?.end()
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

/** A line on the terminal that is written again each second, until it is ended. */
function showProgress(store: Store, name: string, run: string): { end(): void } {
  const path = join(store.runs(name), run + RECORD)
  const start = Date.now()
  let last: Progress | undefined
  let shown = false
  const timer = setInterval(() => {
    const trace = decodeStream(readTrusted(path)?.toString('utf8') ?? '')
    const now = trace.hello === undefined ? undefined : progressOf(trace.hello)
    if (now === undefined) return
    const rate = rateBetween(last, now)
    last = now
    const made = now.partial ? '' : `, ${now.calls} calls${rate === undefined ? '' : ` (${rate}/s)`}`
    const lost = now.lost === 0 ? '' : `, ${now.lost} lost`
    const seconds = Math.round((Date.now() - start) / 1000)
    printError(`\r\u001b[Koci-sandbox: ${seconds} s${made}, ${trace.calls.length} different${lost}`)
    shown = true
  }, PROGRESS)
  return {
    end() {
      clearInterval(timer)
      if (shown) printError('\r\u001b[K')
    },
  }
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
  const said = policy === undefined ? undefined : runSummary(policy, run)
  return `oci-sandbox: ${said ?? `policy ${name}: processes of the command go on; their run is merged when they have ended`}\n`
}
