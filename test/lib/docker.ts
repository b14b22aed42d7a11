/** dockerd with everything of its own below a test's directory, and the image of image.ts in it. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { execa } from 'execa'
import { startDaemon } from './daemon.ts'
import { IMAGE, imageLayer } from './image.ts'
import { type Result, resultOf, type Sandbox } from './sandbox.ts'

interface Teardown {
  teardown(handler: () => unknown): void
}

/** As in daemon.json. */
export type DockerRuntimes = Readonly<Record<string, { path: string; runtimeArgs?: readonly string[] }>>

export class Docker {
  readonly #host: string

  private constructor(host: string) {
    this.#host = host
  }

  static async start(t: Teardown, sandbox: Sandbox, runtimes: DockerRuntimes): Promise<Docker> {
    const directory = join(sandbox.directory, 'docker')
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
    const docker = new Docker(settings.hosts[0] as string)
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
    return resultOf(await execa('docker', this.#args(...args), { reject: false, stdin: 'ignore' }))
  }

  /** docker run of the image with a runtime; `options` before the image. */
  async run(runtime: string, options: readonly string[], ...command: string[]): Promise<Result> {
    // What a machine without CAP_SYS_RESOURCE needs is here for all.
    const fixed = ['--runtime', runtime, '--network', 'none', '--ulimit', 'nofile=1024:1024']
    return await this.docker('run', ...fixed, ...options, IMAGE, ...command)
  }
}
