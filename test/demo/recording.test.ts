import t from 'tap'
import { recording } from '../../demo/edf/recording.ts'
import { SIGNALS } from '../../demo/edf/signals.ts'
import { physical, readEdf } from './edf.ts'

t.test('the recording is a valid EDF file', async (t) => {
  const file = recording(3)
  const edf = readEdf(file)
  t.equal(edf.version, '0')
  t.equal(edf.headerBytes, 256 * (SIGNALS.length + 1), '256 bytes, and 256 for each signal')
  t.equal(edf.records * edf.recordSeconds, 3, 'as long as asked for')
  const recordBytes = edf.channels.reduce((bytes, channel) => bytes + 2 * channel.samplesPerRecord, 0)
  t.equal(file.length, edf.headerBytes + edf.records * recordBytes)
  t.ok(recordBytes <= 61440, 'the specification limits a data record to 61,440 bytes')
  t.ok(
    file.subarray(0, edf.headerBytes).every((byte) => byte >= 32 && byte <= 126),
    'the header is printable ASCII',
  )
  t.match(file.toString('latin1', 168, 184), /^\d\d\.\d\d\.\d\d\d\d\.\d\d\.\d\d$/, 'start date and time')
  t.strictSame(
    edf.channels.map(({ label, unit, samplesPerRecord }) => [label, unit, samplesPerRecord]),
    SIGNALS.map(({ label, unit, rate }) => [label, unit, rate]),
  )
})

t.test('its samples are the signals, within half a digital step', async (t) => {
  const flat = (value: number) => ({ label: 'flat', transducer: '', unit: 'uV', range: 100, rate: 4, at: () => value })
  for (const value of [-100, -99.999, 0, 33.3, 100]) {
    const [channel] = readEdf(recording(1, [flat(value)])).channels
    if (channel === undefined) throw new Error('one channel expected')
    const step = 200 / 65535
    t.ok(
      physical(channel).every((found) => Math.abs(found - value) <= step / 2),
      `${value} uV`,
    )
  }
})

t.test('values out of the range are clipped', async (t) => {
  const loud = {
    label: 'loud',
    transducer: '',
    unit: 'uV',
    range: 100,
    rate: 2,
    at: (time: number) => 1e6 * (time - 0.25),
  }
  t.strictSame(readEdf(recording(1, [loud])).channels[0]?.digital, [-32768, 32767])
})

t.test('the same call gives the same bytes', async (t) => {
  t.ok(recording(2).equals(recording(2)))
})

t.test('a header value that does not fit is refused, not cut', async (t) => {
  const long = { label: 'a label of 17 char', transducer: '', unit: 'uV', range: 1, rate: 1, at: () => 0 }
  t.throws(() => recording(1, [long]), { name: 'RangeError' })
})
