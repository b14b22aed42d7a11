/**
 * A client of the Container Runtime Interface (what the kubelet speaks): gRPC over a Unix socket, with as much of protobuf as its messages
 * here need. Field numbers are those of k8s.io/cri-api, runtime/v1/api.proto.
 */
import { type ClientHttp2Session, connect } from 'node:http2'
import { createConnection } from 'node:net'

/** Field number -> text, number, message, or several of them. */
export type Message = { readonly [field: number]: Value | readonly Value[] | undefined }
type Value = string | number | Message

/** Protobuf's wire types: 0 varint, 2 length-delimited. */
function encode(message: Message): Buffer {
  const parts: Buffer[] = []
  for (const [field, value] of Object.entries(message)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one === undefined) continue
      if (typeof one === 'number') {
        parts.push(varint(Number(field) << 3), varint(one))
        continue
      }
      const bytes = typeof one === 'string' ? Buffer.from(one) : encode(one)
      parts.push(varint((Number(field) << 3) | 2), varint(bytes.length), bytes)
    }
  }
  return Buffer.concat(parts)
}

function varint(value: number): Buffer {
  const bytes: number[] = []
  let rest = value
  for (; rest > 127; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128)
  return Buffer.from([...bytes, rest])
}

/** The fields of a message: numbers, and bytes that may be text or another message. */
export type Decoded = Map<number, number | Buffer>

export function decode(bytes: Buffer): Decoded {
  const fields: Decoded = new Map()
  let at = 0
  const number = () => {
    let value = 0
    for (let shift = 1; ; shift *= 128) {
      const byte = bytes[at++] as number
      value += (byte & 127) * shift
      if (byte < 128) return value
    }
  }
  while (at < bytes.length) {
    const key = number()
    if ((key & 7) === 0) fields.set(key >> 3, number())
    else if ((key & 7) === 2) {
      const length = number()
      fields.set(key >> 3, bytes.subarray(at, at + length))
      at += length
    } else throw new Error(`protobuf: wire type ${key & 7} is not expected`)
  }
  return fields
}

/** A map<string, string>. */
export function map(entries: Readonly<Record<string, string>>): Message[] {
  return Object.entries(entries).map(([key, value]) => ({ 1: key, 2: value }))
}

export class Cri {
  readonly #session: ClientHttp2Session

  constructor(socket: string) {
    this.#session = connect('http://localhost', { createConnection: () => createConnection(socket) })
    this.#session.on('error', () => {}) // each call reports it
  }

  close(): void {
    this.#session.close()
  }

  /** Calls a method of the runtime service. Throws with gRPC's message. */
  call(method: string, request: Message): Promise<Decoded> {
    const body = encode(request)
    const head = Buffer.alloc(5) // no compression; the length
    head.writeUInt32BE(body.length, 1)
    const stream = this.#session.request({
      ':method': 'POST',
      ':path': `/runtime.v1.RuntimeService/${method}`,
      'content-type': 'application/grpc',
      te: 'trailers',
    })
    const chunks: Buffer[] = []
    let status: Record<string, unknown> = {}
    stream.setTimeout(30_000, () => stream.destroy(new Error(`${method}: no answer within 30 s`)))
    return new Promise((resolve, reject) => {
      stream.on('response', (headers) => {
        status = { ...headers }
      })
      stream.on('trailers', (trailers) => {
        status = { ...status, ...trailers }
      })
      stream.on('data', (chunk: Buffer) => chunks.push(chunk))
      stream.on('error', reject)
      stream.on('close', () => {
        if (status['grpc-status'] === '0') resolve(decode(Buffer.concat(chunks).subarray(5)))
        else reject(new Error(`${method}: ${decodeURIComponent(String(status['grpc-message'] ?? 'no answer'))}`))
      })
      stream.end(Buffer.concat([head, body]))
    })
  }
}
