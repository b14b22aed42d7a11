/** What the kubelet does, as far as a test needs it: a client of the container runtime interface (CRI, runtime.v1), over gRPC. */
import { mkdirSync, readFileSync } from 'node:fs'
import { connect as connectHttp2 } from 'node:http2'
import { connect as connectSocket } from 'node:net'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { IMAGE } from './image.ts'
import { decode, encode, type Message, mapEntries } from './protobuf.ts'

export interface ContainerEnd {
  readonly exitCode: number
  /** Both streams, as its log has them. */
  readonly output: string
}

export interface Pod {
  readonly id: string
  readonly config: Message
}

type Annotations = Readonly<Record<string, string>>

/** ContainerState of the CRI. */
const EXITED = 2
/** NamespaceMode NODE of the CRI: the pod shares the host's network, which needs no CNI plugin. */
const NODE = 2

const PATIENCE = 30_000

export class Cri {
  readonly #socket: string
  readonly #logs: string
  #attempts = 0

  constructor(socket: string, directory: string) {
    this.#socket = socket
    this.#logs = join(directory, 'cri-logs')
    mkdirSync(this.#logs)
  }

  /** One call without streams (gRPC over HTTP/2). Rejects with the server's message. */
  async call(method: string, request: Message): Promise<Map<number, number | Buffer>> {
    const session = connectHttp2('http://localhost', { createConnection: () => connectSocket(this.#socket) })
    try {
      return await new Promise((resolve, reject) => {
        session.on('error', reject)
        const headers = { ':method': 'POST', ':path': `/runtime.v1.RuntimeService/${method}` }
        const stream = session.request({ ...headers, 'content-type': 'application/grpc', te: 'trailers' })
        const chunks: Buffer[] = []
        stream.setTimeout(PATIENCE, () => reject(new Error(`${method}: no answer`)))
        stream.on('data', (chunk: Buffer) => chunks.push(chunk))
        const judge = (fields: Record<string, unknown>) => {
          if (fields['grpc-status'] !== undefined && fields['grpc-status'] !== '0')
            reject(new Error(`${method}: ${decodeURIComponent(String(fields['grpc-message']))}`))
        }
        stream.on('response', judge)
        stream.on('trailers', judge)
        stream.on('error', reject)
        stream.on('end', () => resolve(decode(Buffer.concat(chunks).subarray(5))))
        const body = encode(request)
        const frame = Buffer.alloc(5) // not compressed, and the length
        frame.writeUInt32BE(body.length, 1)
        stream.end(Buffer.concat([frame, body]))
      })
    } finally {
      session.close()
    }
  }

  /** Runs `work` in a pod of the runtime handler; the pod is removed afterwards. */
  async withPod(runtimeHandler: string, annotations: Annotations, work: (pod: Pod) => Promise<void>): Promise<void> {
    const pod = await this.startPod(runtimeHandler, annotations)
    try {
      await work(pod)
    } finally {
      await this.removePod(pod.id)
    }
  }

  async startPod(runtimeHandler: string, annotations: Annotations): Promise<Pod> {
    const attempt = ++this.#attempts
    const config: Message = {
      1: { 1: `pod${attempt}`, 2: `uid${attempt}`, 3: 'default', 4: attempt },
      3: this.#logs,
      7: mapEntries(annotations),
      8: { 2: { 1: { 1: NODE } } },
    }
    return { id: text(await this.call('RunPodSandbox', { 1: config, 2: runtimeHandler }), 1), config }
  }

  async removePod(id: string): Promise<void> {
    await this.call('StopPodSandbox', { 1: id })
    await this.call('RemovePodSandbox', { 1: id })
  }

  /** Creates a container of the image in the pod. `mounts`: the host's directories by the container's. */
  async create(
    pod: Pod,
    annotations: Annotations,
    command: readonly string[],
    mounts: Readonly<Record<string, string>> = {},
  ) {
    const attempt = ++this.#attempts
    const log = `container${attempt}.log`
    const config: Message = {
      1: { 1: 'program', 2: attempt },
      2: { 1: IMAGE },
      3: [...command],
      7: Object.entries(mounts).map(([inside, outside]) => ({ 1: inside, 2: outside })),
      10: mapEntries(annotations),
      11: log,
    }
    const id = text(await this.call('CreateContainer', { 1: pod.id, 2: config, 3: pod.config }), 1)
    return { id, log: join(this.#logs, log) }
  }

  /** Creates and starts one. */
  async start(pod: Pod, annotations: Annotations, command: readonly string[]) {
    const container = await this.create(pod, annotations, command)
    await this.call('StartContainer', { 1: container.id })
    return container
  }

  async end({ id, log }: { id: string; log: string }): Promise<ContainerEnd> {
    const deadline = Date.now() + PATIENCE
    for (;;) {
      const status = decode((await this.call('ContainerStatus', { 1: id })).get(1) as Buffer)
      if (status.get(3) === EXITED) return { exitCode: (status.get(7) as number | undefined) ?? 0, output: plain(log) }
      if (Date.now() > deadline) throw new Error(`container ${id} does not end`)
      await pause(20)
    }
  }

  /** A command in a running container, to its end. */
  async exec(id: string, command: readonly string[]): Promise<ContainerEnd> {
    const answer = await this.call('ExecSync', { 1: id, 2: [...command], 3: 20 })
    return { exitCode: (answer.get(3) as number | undefined) ?? 0, output: text(answer, 1) + text(answer, 2) }
  }
}

function text(fields: Map<number, number | Buffer>, field: number): string {
  return ((fields.get(field) as Buffer | undefined) ?? Buffer.alloc(0)).toString()
}

/** A log of the CRI without the time, stream and tag before each line. */
function plain(log: string): string {
  return readFileSync(log, 'utf8')
    .replace(/^\S+ (stdout|stderr) [FP] /gm, '')
    .trimEnd()
}
