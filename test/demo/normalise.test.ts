/** Runs the analysis in the demo's root file system (`demo/rootfs` makes it) and computes its result anew. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { execa } from 'execa'
import t from 'tap'
import { recording } from '../../demo/edf/recording.ts'
import { SIGNALS } from '../../demo/edf/signals.ts'
import { PROGRAMS, ROOTFS } from '../../demo/paths.ts'
import { physical, readEdf } from './edf.ts'

/** Runs normalise.py by chroot in a folder of its own in the rootfs. */
async function normalise(source: Buffer) {
  const folder = join(ROOTFS, 'tmp', `normalise-${process.pid}`)
  mkdirSync(folder, { recursive: true })
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  writeFileSync(join(folder, 'program.py'), readFileSync(join(PROGRAMS, 'normalise.py')))
  writeFileSync(join(folder, 'in.edf'), source)
  const inside = ['program.py', 'in.edf', 'out.edf'].map((name) => join('/tmp', basename(folder), name))
  const { stdout } = await execa('chroot', [ROOTFS, '/usr/bin/python3', ...inside])
  return { stdout, target: readFileSync(join(folder, 'out.edf')) }
}

t.test('normalise.py gives every channel zero mean and unit variance', async (t) => {
  const source = recording(20)
  const { stdout, target } = await normalise(source)
  const [before, after] = [readEdf(source), readEdf(target)]
  t.equal(target.length, source.length, 'a file of the same shape')
  t.equal(after.channels.length, SIGNALS.length)
  for (const [index, channel] of after.channels.entries()) {
    const original = before.channels[index]
    if (original === undefined) throw new Error(`no channel ${index} in the recording`)
    const values = physical(original)
    const { mean, deviation } = moments(values)
    const step = (channel.physicalMax - channel.physicalMin) / (channel.digitalMax - channel.digitalMin)
    const error = Math.max(
      ...physical(channel).map((score, sample) =>
        Math.abs(score - ((values[sample] ?? Number.NaN) - mean) / deviation),
      ),
    )
    t.ok(error <= step / 2 + 1e-9, `${channel.label}: every score within half a digital step (${error} <= ${step / 2})`)
    t.equal(channel.unit, 'SD')
    const row = [channel.label, values.length, mean.toFixed(4), deviation.toFixed(4), original.unit].join(' ')
    t.ok(stdout.replaceAll(/ +/g, ' ').includes(row), `the table says: ${row}`)
  }
})

t.test('a channel that never changes stays at zero', async (t) => {
  const flat = { label: 'flat', transducer: '', unit: 'uV', range: 100, rate: 4, at: () => 42 }
  const [channel] = readEdf((await normalise(recording(2, [flat]))).target).channels
  t.ok(channel?.digital.every((value) => value === 0))
})

t.test('a header that contradicts itself is refused', async (t) => {
  const broken = recording(1)
  broken.write('512     ', 184, 'latin1')
  await t.rejects(normalise(broken), { message: /a header of 512 bytes cannot hold 4 signals/ })
})

/** Mean and population standard deviation, in two passes. */
function moments(values: number[]) {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length
  const deviation = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length)
  return { mean, deviation }
}
