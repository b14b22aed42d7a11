/** The attacker's end of the network: a listener on the loopback interface that counts what it is sent. */
import { once } from 'node:events'
import { type AddressInfo, createServer, type Server } from 'node:net'

export class Collector implements AsyncDisposable {
  connections = 0
  bytes = 0
  readonly #server: Server

  private constructor() {
    this.#server = createServer((socket) => {
      this.connections++
      socket.on('data', (chunk) => {
        this.bytes += chunk.length
      })
      socket.on('error', () => {}) // the attacker's program was ended: what had arrived is counted
    })
  }

  static async listen(): Promise<Collector> {
    const collector = new Collector()
    await once(collector.#server.listen(0, '127.0.0.1'), 'listening')
    return collector
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** Stops listening; waits until every connection has ended, so that the counts are final. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close()
    await once(this.#server, 'close')
  }
}
