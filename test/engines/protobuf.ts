/** As much of the protobuf encoding as a CRI client needs (protobuf.dev, Encoding). */

/** A message: its fields by number. Strings, varints, messages, lists of them, and maps of strings (messages of key 1 and value 2). */
export interface Message {
  readonly [field: number]: Value | readonly Value[]
}
type Value = string | number | Message

const VARINT = 0
const LENGTH = 2

export function encode(message: Message): Buffer {
  const parts: Buffer[] = []
  for (const [field, values] of Object.entries(message)) {
    for (const value of Array.isArray(values) ? values : [values]) {
      if (typeof value === 'number') {
        parts.push(varint((Number(field) << 3) | VARINT), varint(value))
      } else {
        const data = typeof value === 'string' ? Buffer.from(value) : encode(value)
        parts.push(varint((Number(field) << 3) | LENGTH), varint(data.length), data)
      }
    }
  }
  return Buffer.concat(parts)
}

export function mapEntries(map: Readonly<Record<string, string>>): Message[] {
  return Object.entries(map).map(([key, value]) => ({ 1: key, 2: value }))
}

/** The first value of each field: numbers, and bytes of what has a length. */
export function decode(data: Buffer): Map<number, number | Buffer> {
  const fields = new Map<number, number | Buffer>()
  let at = 0
  const next = () => {
    let value = 0n
    for (let shift = 0n; ; shift += 7n) {
      const byte = data[at++]
      if (byte === undefined) throw new Error('the message is torn')
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return Number(BigInt.asIntN(64, value))
    }
  }
  while (at < data.length) {
    const tag = next()
    const number = next()
    const field = tag >>> 3
    const value = (tag & 7) === VARINT ? number : data.subarray(at, at + number)
    if (typeof value !== 'number') at += number
    if (!fields.has(field)) fields.set(field, value)
  }
  return fields
}

function varint(value: number): Buffer {
  const bytes: number[] = []
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return Buffer.from([...bytes, rest])
    bytes.push((rest % 128) | 0x80)
  }
}
