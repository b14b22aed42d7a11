/** A Redis server from Debian in a container, reached through a socket in a folder that it shares with the host. */
import { chownSync } from 'node:fs'
import { join } from 'node:path'
import { execa } from 'execa'
import { type Mode, type Program, USER } from './bundle.ts'
import type { Workspace } from './container.ts'

export const REDIS_POLICY = 'redis-server'
/** SET requests, and then GET requests, of one load; 20 clients send them. */
const REQUESTS = 20_000
/** Longer than Redis needs for anything asked of it here, also while it is learned. */
const DEADLINE_MS = 30_000

export class Redis implements AsyncDisposable {
  readonly #container: ReturnType<Workspace['run']>
  readonly #folder: string
  /** From `runc run` until the server wrote its first line, ms. */
  startMs = Number.NaN
  /** What the server has logged. */
  log = ''

  private constructor(workspace: Workspace, mode: Mode) {
    this.#folder = workspace.folder('redis')
    chownSync(this.#folder, USER.uid, USER.gid)
    const begin = performance.now()
    this.#container = workspace.run(program(this.#folder), mode)
    this.#container.stdout.once('data', () => {
      this.startMs = performance.now() - begin
    })
    this.#container.stdout.on('data', (chunk) => {
      this.log += chunk
    })
  }

  /** A server that answers. */
  static async start(workspace: Workspace, mode: Mode): Promise<Redis> {
    const redis = new Redis(workspace, mode)
    await redis.logged('ready to accept connections')
    const answer = await redis.command('PING')
    if (answer !== 'PONG') throw new Error(`redis-server: PING was answered by ${answer}`)
    return redis
  }

  /** What the server answers; errors are answers, too. */
  async command(...words: string[]): Promise<string> {
    const client = ['-s', 'redis.sock', ...words]
    return (await execa('redis-cli', client, { cwd: this.#folder, timeout: DEADLINE_MS })).stdout.trim()
  }

  /** Requests per second that the server does under the load. */
  async load(): Promise<number> {
    const options = ['-s', 'redis.sock', '-t', 'set,get', '-n', String(REQUESTS), '-c', '20', '--csv']
    const { stdout } = await execa('redis-benchmark', options, { cwd: this.#folder, timeout: 4 * DEADLINE_MS })
    const rates = [...stdout.matchAll(/^"(?:SET|GET)","([\d.]+)"/gm)].map(([, rate]) => Number(rate))
    if (rates.length !== 2) throw new Error(`redis-benchmark: SET and GET rates expected, found: ${stdout}`)
    return rates.length / rates.reduce((seconds, rate) => seconds + 1 / rate, 0)
  }

  /** Fulfilled when the server has logged a text; rejected when it ends, or does not say it in time. */
  async logged(text: string): Promise<void> {
    const failed = (why: string) => new Error(`redis-server: ${why} and has not logged "${text}", but: ${this.log}`)
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const look = () => this.log.includes(text) && resolve()
    const deadline = setTimeout(() => reject(failed(`${DEADLINE_MS} ms are over`)), DEADLINE_MS)
    this.#container.stdout.on('data', look)
    void this.#container.then(({ stderr }) => reject(failed(`its container ended (${stderr})`)))
    look()
    await promise.finally(() => {
      clearTimeout(deadline)
      this.#container.stdout.off('data', look)
    })
  }

  /** The path on the host of a file that the server may have written. */
  file(name: string): string {
    return join(this.#folder, name)
  }

  /** Shuts the server down cleanly and waits until its container is deleted; a server that is gone already is no error. */
  async [Symbol.asyncDispose](): Promise<void> {
    await execa('redis-cli', ['-s', 'redis.sock', 'SHUTDOWN', 'NOSAVE'], {
      cwd: this.#folder,
      timeout: DEADLINE_MS,
      reject: false,
    })
    const { exitCode, stderr } = await this.#container
    if (exitCode !== 0 || stderr !== '')
      throw new Error(`redis-server: SHUTDOWN ended in exit code ${exitCode}: ${stderr}`)
  }
}

/** In memory only (no save points, no log of appends), on a Unix socket only. */
function program(folder: string): Program {
  return {
    policy: REDIS_POLICY,
    args: ['/usr/bin/redis-server', ...'--port 0 --unixsocket /redis/redis.sock --dir /redis'.split(' '), '--save', ''],
    env: [],
    mounts: [{ source: folder, destination: '/redis', writable: true }],
    hostNetwork: false,
  }
}
