/** `make demo`: sets up, learns and enforces two programs on stock runc, tampers with one, and says what happened. */
import { existsSync } from 'node:fs'
import { constants } from 'node:os'
import { join } from 'node:path'
import { execa } from 'execa'
import { showAnalysis } from './analysis.ts'
import { Workspace } from './container.ts'
import { OCI_SANDBOX, ROOTFS } from './paths.ts'
import { Report, timed } from './report.ts'
import { showServer } from './server.ts'

async function setUp(report: Report): Promise<void> {
  report.stage('Setting up')
  if (!existsSync(OCI_SANDBOX)) throw new Error(`${OCI_SANDBOX} does not exist: build it with "make build"`)
  const { ms } = await timed(() => execa(join(import.meta.dirname, 'rootfs'), { stderr: 'inherit' }))
  const { stdout } = await execa('runc', ['--version'])
  report.detail(`${stdout.split('\n')[0]}; root file system: ${ROOTFS}`)
  report.summary('Set-up', `${stdout.split('\n')[0]}; root file system from Debian packages: ${Math.round(ms)} ms`)
}

async function show(report: Report): Promise<void> {
  await setUp(report)
  const workspace = new Workspace()
  process.once('exit', () => workspace.remove())
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => process.exit(128 + constants.signals[signal]))
  }
  const { ms } = await timed(async () => {
    await showAnalysis(report, workspace)
    await showServer(report, workspace)
  })
  report.summary('The whole show', `${(ms / 1000).toFixed(1)} s`)
}

const report = new Report()
try {
  await show(report)
} catch (error) {
  report.check('the demo runs to its end', false, error instanceof Error ? error.message : String(error))
}
report.end()
process.exit(report.failures === 0 ? 0 : 1) // also when a container that failed is still there
