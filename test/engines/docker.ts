/** dockerd with everything of its own below a directory, and the image of image.ts in it. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { execa } from 'execa'
import { startDaemon } from './daemon.ts'
import { IMAGE, imageLayer } from './image.ts'
import type { Place, Teardown } from './place.ts'
import { type Result, resultOf } from './result.ts'

/** As in daemon.json. */
export type DockerRuntimes = Readonly<Record<string, { path: string; runtimeArgs?: readonly string[] }>>

export class Docker {
  readonly #host: string
  readonly #tmp: string

  private constructor(host: string, tmp: string) {
    this.#host = host
    this.#tmp = tmp
  }

  static async start(t: Teardown, place: Place, runtimes: DockerRuntimes): Promise<Docker> {
    const directory = join(place.directory, 'docker')
    mkdirSync(directory)
    const config = join(directory, 'daemon.json')
    const settings = {
      'data-root': join(directory, 'data'),
      'exec-root': join(directory, 'exec'),
      pidfile: join(directory, 'pid'),
      hosts: [`unix://${directory}/docker.sock`],
      iptables: false,
      bridge: 'none',
      'storage-driver': 'vfs',
      runtimes,
    }
    writeFileSync(config, JSON.stringify(settings))
    const docker = new Docker(settings.hosts[0] as string, place.tmp)
    await startDaemon(t, {
      command: 'dockerd',
      args: ['--config-file', config],
      directory,
      ask: () => execa('docker', docker.#args('version')),
    })
    await execa('docker', docker.#args('import', await imageLayer(directory), IMAGE))
    return docker
  }

  #args(...args: string[]): string[] {
    return ['--host', this.#host, ...args]
  }

  async docker(...args: string[]): Promise<Result> {
    return resultOf(await execa('docker', this.#args(...args), { reject: false, stdin: 'ignore', timeout: 60_000 }))
  }

  /** docker run of the image with a runtime, with the /tmp of the place; `options` before the image. */
  async run(runtime: string, options: readonly string[], ...command: string[]): Promise<Result> {
    return await this.docker('run', ...this.#container(runtime, options, command))
  }

  /** The command line of the same. */
  line(runtime: string, options: readonly string[], ...command: string[]): string[] {
    return ['docker', ...this.#args('run', ...this.#container(runtime, options, command))]
  }

  /** docker create of the same; returns the container's id. */
  async create(runtime: string, options: readonly string[], ...command: string[]): Promise<string> {
    const { exitCode, stdout, stderr } = await this.docker('create', ...this.#container(runtime, options, command))
    if (exitCode !== 0) throw new Error(`docker create: ${stderr}`)
    return stdout
  }

  #container(runtime: string, options: readonly string[], command: readonly string[]): string[] {
    // What a machine without CAP_SYS_RESOURCE needs is here for all.
    const fixed = ['--runtime', runtime, '--network', 'none', '--ulimit', 'nofile=1024:1024']
    return [...fixed, '--volume', `${this.#tmp}:/tmp`, ...options, IMAGE, ...command]
  }
}
