/**
 * Writes the recording that the demo analyses: a valid file in the European Data Format.
 *
 * The format: B. Kemp, A. Värri, A. C. Rosa, K. D. Nielsen, J. Gade, "A simple format for exchange of digitized
 * polygraphic recordings", Electroencephalography and Clinical Neurophysiology 82 (1992) 391-393. A header of
 * left-justified, space-padded ASCII fields (256 bytes, then 256 per signal, stored field by field), then data records:
 * each holds, signal after signal, its samples as little-endian 16-bit integers. A record is at most 61,440 bytes.
 *
 * The signals are synthetic and deterministic: the same call gives the same bytes.
 */
import { noise, SIGNALS, type Signal } from './signals.ts'

/** Seconds in one data record. */
const RECORD_SECONDS = 1
/** Digital range: the whole 16-bit range, as 12- to 16-bit converters of recorders use it. */
const DIGITAL_MIN = -32768
const DIGITAL_MAX = 32767

/** An EDF recording of `seconds` seconds. */
export function recording(seconds: number, signals: readonly Signal[] = SIGNALS): Buffer {
  return Buffer.concat([header(seconds / RECORD_SECONDS, signals), ...records(seconds, signals)])
}

function header(records: number, signals: readonly Signal[]): Buffer {
  const each = (width: number, value: (signal: Signal) => string | number) =>
    signals.map((signal) => field(value(signal), width)).join('')
  const text = [
    field('0', 8), // version of this data format
    field('X X X X', 80), // patient: unknown, as no patient exists
    field('Startdate 01-JAN-2024 X oci-sandbox synthetic', 80),
    field('01.01.24', 8), // start date, dd.mm.yy
    field('00.00.00', 8), // start time, hh.mm.ss
    field(256 * (signals.length + 1), 8), // bytes in the header
    field('', 44), // reserved
    field(records, 8),
    field(RECORD_SECONDS, 8), // duration of a data record, s
    field(signals.length, 4),
    each(16, (signal) => signal.label),
    each(80, (signal) => signal.transducer),
    each(8, (signal) => signal.unit),
    each(8, (signal) => -signal.range), // physical minimum
    each(8, (signal) => signal.range), // physical maximum
    each(8, () => DIGITAL_MIN),
    each(8, () => DIGITAL_MAX),
    each(80, () => ''), // prefiltering: none
    each(8, (signal) => signal.rate * RECORD_SECONDS), // samples in each data record
    each(32, () => ''), // reserved
  ]
  return Buffer.from(text.join(''), 'ascii')
}

/** A header field: ASCII, left-justified, padded with spaces; a value that does not fit is an error, never cut. */
function field(value: string | number, width: number): string {
  const text = String(value)
  if (text.length > width) throw new RangeError(`EDF header: "${text}" does not fit into a field of ${width} bytes`)
  return text.padEnd(width)
}

function* records(seconds: number, signals: readonly Signal[]): Generator<Buffer> {
  const random = noise()
  for (let second = 0; second < seconds; second += RECORD_SECONDS) {
    for (const signal of signals) {
      const samples = Buffer.alloc(2 * signal.rate * RECORD_SECONDS)
      for (let index = 0; index < signal.rate * RECORD_SECONDS; index++) {
        const physical = signal.at(second + index / signal.rate, random)
        samples.writeInt16LE(digital(physical, signal.range), 2 * index)
      }
      yield samples
    }
  }
}

/** The integer that stands for a physical value; the converter clips what is out of its range. */
function digital(physical: number, range: number): number {
  const scaled = DIGITAL_MIN + ((physical + range) / (2 * range)) * (DIGITAL_MAX - DIGITAL_MIN)
  return Math.max(DIGITAL_MIN, Math.min(DIGITAL_MAX, Math.round(scaled)))
}
