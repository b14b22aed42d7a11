/** An EDF reader for the tests, written from the specification and apart from what the demo reads and writes with. */

export type Channel = {
  label: string
  unit: string
  physicalMin: number
  physicalMax: number
  digitalMin: number
  digitalMax: number
  samplesPerRecord: number
  /** All samples, in digital units. */
  digital: number[]
}

export type Edf = { version: string; headerBytes: number; records: number; recordSeconds: number; channels: Channel[] }

export function readEdf(file: Buffer): Edf {
  let offset = 0
  const text = (width: number) => {
    offset += width
    return file.toString('latin1', offset - width, offset).trim()
  }
  const number = (width: number) => {
    const value = text(width)
    if (!/^-?\d+(\.\d+)?$/.test(value)) throw new Error(`EDF header: "${value}" at byte ${offset - width} is no number`)
    return Number(value)
  }
  const version = text(8)
  text(80 + 80 + 8 + 8)
  const [headerBytes] = [number(8), text(44)]
  const [records, recordSeconds, count] = [number(8), number(8), number(4)]
  const each = <T>(read: () => T): T[] => Array.from({ length: count }, read)
  const labels = each(() => text(16))
  each(() => text(80))
  const units = each(() => text(8))
  const [physicalMin, physicalMax] = [each(() => number(8)), each(() => number(8))]
  const [digitalMin, digitalMax] = [each(() => number(8)), each(() => number(8))]
  each(() => text(80))
  const samples = each(() => number(8))
  each(() => text(32))
  const channels = labels.map((label, index) => ({
    label,
    unit: units[index] ?? '',
    physicalMin: physicalMin[index] ?? Number.NaN,
    physicalMax: physicalMax[index] ?? Number.NaN,
    digitalMin: digitalMin[index] ?? Number.NaN,
    digitalMax: digitalMax[index] ?? Number.NaN,
    samplesPerRecord: samples[index] ?? Number.NaN,
    digital: [] as number[],
  }))
  for (let record = 0; record < records; record++) {
    for (const channel of channels) {
      for (let index = 0; index < channel.samplesPerRecord; index++, offset += 2) {
        channel.digital.push(file.readInt16LE(offset))
      }
    }
  }
  if (offset !== file.length) throw new Error(`EDF: ${file.length - offset} bytes after the last data record`)
  return { version, headerBytes, records, recordSeconds, channels }
}

/** A channel's samples in its physical unit. */
export function physical({ digital, physicalMin, physicalMax, digitalMin, digitalMax }: Channel): number[] {
  const gain = (physicalMax - physicalMin) / (digitalMax - digitalMin)
  return digital.map((value) => physicalMin + (value - digitalMin) * gain)
}
