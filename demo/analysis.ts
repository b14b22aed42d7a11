/** The analysis from outside: learned in a few runs, enforced with the same output, and two tampered versions refused. */
import { chownSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Mode, type Program, USER } from './bundle.ts'
import { Collector } from './collector.ts'
import type { Workspace } from './container.ts'
import { recording } from './edf/recording.ts'
import { PROGRAMS } from './paths.ts'
import { showPolicy } from './policy.ts'
import { inTurn, median, type Report } from './report.ts'

const POLICY = 'edf-normalise'
const RUNS = 3
/** Length of the recording, s: 1.3 MB. */
const SECONDS = 600

/** The analysis in the workspace: the folders that its containers see, and ways to run it. */
class Analysis {
  readonly recording = recording(SECONDS)
  readonly #workspace: Workspace
  readonly #data: string
  readonly #out: string

  constructor(workspace: Workspace) {
    this.#workspace = workspace
    this.#data = workspace.folder('data')
    this.#out = workspace.folder('out')
    chownSync(this.#out, USER.uid, USER.gid)
    writeFileSync(join(this.#data, 'recording.edf'), this.recording)
  }

  /** One run, into an empty /out; `port` is where a tampered version would send the recording. */
  async run(script: string, mode: Mode, port = 0) {
    for (const name of ['normalised.edf', 'stolen.edf']) rmSync(join(this.#out, name), { force: true })
    const program: Program = {
      policy: POLICY,
      args: ['/usr/bin/python3', `/program/${script}`],
      env: ['PYTHONDONTWRITEBYTECODE=1', `COLLECTOR_PORT=${port}`],
      mounts: [
        { source: PROGRAMS, destination: '/program', writable: false },
        { source: this.#data, destination: '/data', writable: false },
        { source: this.#out, destination: '/out', writable: true },
      ],
      hostNetwork: true,
    }
    const { exitCode, stdout, stderr, durationMs } = await this.#workspace.run(program, mode)
    const ended = `exit code ${exitCode}, ${stderr || 'nothing on stderr'}`
    const ok = exitCode === 0 && stderr === '' // runc warns there when a hook fails after the end
    return { ok, stdout, stderr, ended, ms: durationMs, output: this.file('normalised.edf') }
  }

  /** What is in /out under a name, as far as it is there. */
  file(name: string): Buffer | undefined {
    const path = join(this.#out, name)
    return existsSync(path) ? readFileSync(path) : undefined
  }
}

type Run = Awaited<ReturnType<Analysis['run']>>

export async function showAnalysis(report: Report, workspace: Workspace): Promise<void> {
  const analysis = new Analysis(workspace)
  report.stage('The analysis on stock runc, without a sandbox')
  const first = await analysis.run('normalise.py', 'plain') // not measured: it also warms the caches
  if (first.output === undefined) throw new Error(`the analysis does not run even without a sandbox: ${first.ended}`)
  report.detail(first.stdout)
  report.stage(`Learning ${POLICY} in ${RUNS} runs`)
  const learn = await repeat(report, analysis, ['learn'], first)
  const syscalls = await showPolicy(report, workspace.config, POLICY, RUNS)
  report.stage('The analysis under its policy, and without it in turn')
  const enforce = await repeat(report, analysis, ['plain', 'enforce'], first)
  const outcome = enforce.same ? 'the output is the same, byte for byte' : 'the output DIFFERS'
  report.summary('EDF analysis', `learned in ${RUNS} runs: ${syscalls} syscalls; enforced, ${outcome}`)
  report.costs('  whole run', `ms (medians of ${RUNS})`, (mode) =>
    median([...learn.times[mode], ...enforce.times[mode]]),
  )
  const starts = enforce.times.enforce.map(Math.round).join(', ')
  report.summary(
    '  filter',
    `compiled at the end of each learned run, so cached from the first enforced run on (${starts} ms)`,
  )
  await showNetworkAttack(report, analysis)
  await showExecAttack(report, analysis)
}

/** Runs in some modes in turn, so that what else the machine does weighs on all alike: times in ms, and whether all repeated `expected`. */
async function repeat(report: Report, analysis: Analysis, modes: Mode[], expected: Run) {
  const times: Record<Mode, number[]> = { plain: [], learn: [], enforce: [] }
  let same = true
  for (const [count, mode] of inTurn(modes, RUNS)) {
    const run = await analysis.run('normalise.py', mode)
    report.check(`${mode}, run ${count} of ${RUNS}: ended well in ${Math.round(run.ms)} ms`, run.ok, run.ended)
    same &&= run.stdout === expected.stdout && run.output !== undefined && expected.output?.equals(run.output) === true
    times[mode].push(run.ms)
  }
  report.check('each output is that of the first run, byte for byte', same, 'another output, or none')
  return { times, same }
}

async function showNetworkAttack(report: Report, analysis: Analysis): Promise<void> {
  report.stage('Tampered: the analysis that sends the recording away')
  const attack = async (mode: Mode) => {
    await using collector = await Collector.listen()
    return { run: await analysis.run('tampered-network.py', mode, collector.port), collector }
  }
  const open = await attack('plain')
  report.detail(lastLine(open.run))
  const all = open.collector.bytes === analysis.recording.length
  report.check('without a sandbox the whole recording is stolen', open.run.ok && all, open.run.ended)
  const { run, collector } = await attack('enforce')
  report.detail(run.stderr)
  const denied = report.check(
    'enforced: the connection was refused',
    refused(run, 'opening a network connection'),
    run.ended,
  )
  const arrived = `${collector.connections} connections, ${collector.bytes} bytes`
  const kept = report.check('enforced: nothing arrived at the collector', collector.connections === 0, arrived)
  report.summary(
    '  tampered, network',
    `${verdict(denied && kept)}: ${arrived} (unsandboxed: ${open.collector.bytes} bytes)`,
  )
}

async function showExecAttack(report: Report, analysis: Analysis): Promise<void> {
  report.stage('Tampered: the analysis that starts another program')
  const open = await analysis.run('tampered-exec.py', 'plain')
  report.detail(lastLine(open))
  const stolen = analysis.file('stolen.edf')
  const all = stolen?.equals(analysis.recording) === true
  report.check('without a sandbox the program runs and copies the recording', open.ok && all, open.ended)
  const run = await analysis.run('tampered-exec.py', 'enforce')
  report.detail(run.stderr)
  const ways = ['starting another program', 'becoming another program']
  const denied = ways.filter((way) => report.check(`enforced: ${way} was refused`, refused(run, way), run.ended))
  const copied = analysis.file('stolen.edf')?.length ?? 0
  const kept = report.check('enforced: the program did not run', copied === 0, `it copied ${copied} bytes`)
  const result = verdict(denied.length === ways.length && kept)
  report.summary('  tampered, other program', `${result}: ${copied} bytes copied (unsandboxed: ${stolen?.length ?? 0})`)
}

/** Whether the attack failed because the kernel did not allow it, and not for another reason. */
function refused(run: Run, what: string): boolean {
  const line = `attack: ${what} was refused: PermissionError: [Errno 1] Operation not permitted`
  return !run.ok && run.stderr.split('\n').some((text) => text.startsWith(line))
}

function verdict(held: boolean): string {
  return held ? 'refused' : 'NOT refused'
}

function lastLine(run: Run): string {
  return run.stdout.split('\n').at(-1) ?? ''
}
