/** containerd with everything of its own below a directory, and the image of image.ts in it. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { execa } from 'execa'
import { startDaemon } from './daemon.ts'
import { IMAGE, imageArchive } from './image.ts'
import type { Place, Teardown } from './place.ts'
import { type Result, resultOf } from './result.ts'

/** The namespace where the CRI plugin looks for images and containers. */
const NAMESPACE = 'k8s.io'

/** What the runtime handlers start. */
interface Runtimes {
  readonly 'oci-sandbox': string
  readonly runc: string
}

type Annotations = Readonly<Record<string, string>>

export class Containerd {
  readonly directory: string
  readonly #runtimes: Runtimes
  readonly #tmp: string

  private constructor(directory: string, runtimes: Runtimes, tmp: string) {
    this.directory = directory
    this.#runtimes = runtimes
    this.#tmp = tmp
  }

  get socket(): string {
    return join(this.directory, 'containerd.sock')
  }

  /** `runtime`: the absolute path of what is started in runc's place by the handler `oci-sandbox`, and `runc` by that of this name. */
  static async start(t: Teardown, place: Place, runtime: string, runc = 'runc'): Promise<Containerd> {
    const directory = join(place.directory, 'containerd')
    mkdirSync(directory)
    const containerd = new Containerd(directory, { 'oci-sandbox': runtime, runc }, place.tmp)
    const config = join(directory, 'config.toml')
    writeFileSync(config, containerd.#config())
    await startDaemon(t, {
      command: 'containerd',
      args: ['--config', config],
      directory,
      ask: () => execa('ctr', containerd.#args('version')),
    })
    // The native snapshotter copies: it works on every file system.
    await execa('ctr', containerd.#args('images', 'import', '--snapshotter', 'native', await imageArchive(directory)))
    return containerd
  }

  #args(...args: string[]): string[] {
    return ['--address', this.socket, '--namespace', NAMESPACE, ...args]
  }

  /** TOML, version 2. A test machine may forbid a lower oom_score_adj (CAP_SYS_RESOURCE), and has no CNI plugins. */
  #config(): string {
    const cri = '[plugins."io.containerd.grpc.v1.cri"'
    return `version = 2
root = "${this.directory}/root"
state = "${this.directory}/state"
[grpc]
  address = "${this.socket}"
[ttrpc]
  address = "${this.socket}.ttrpc"
[debug]
  address = "${this.socket}.debug"
${cri}]
  sandbox_image = "${IMAGE}"
  restrict_oom_score_adj = true
  disable_apparmor = true
${cri}.cni]
  bin_dir = "${this.directory}/cni/bin"
  conf_dir = "${this.directory}/cni/net.d"
${cri}.containerd]
  snapshotter = "native"
${cri}.containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
${cri}.containerd.runtimes.runc.options]
  BinaryName = "${this.#runtimes.runc}"
${cri}.containerd.runtimes.oci-sandbox]
  runtime_type = "io.containerd.runc.v2"
  pod_annotations = ["io.sandbox.*"]
  container_annotations = ["io.sandbox.*"]
${cri}.containerd.runtimes.oci-sandbox.options]
  BinaryName = "${this.#runtimes['oci-sandbox']}"
`
  }

  async ctr(...args: string[]): Promise<Result> {
    return resultOf(await execa('ctr', this.#args(...args), { reject: false, stdin: 'ignore', timeout: 60_000 }))
  }

  /** ctr run --rm of the image, through our runtime. */
  async run(id: string, annotations: Annotations, ...command: string[]): Promise<Result> {
    return await this.ctr(...this.#run('oci-sandbox', id, annotations, command))
  }

  /** The command line of the same, with the runtime of a handler. */
  line(handler: keyof Runtimes, id: string, annotations: Annotations, ...command: string[]): string[] {
    return ['ctr', ...this.#args(...this.#run(handler, id, annotations, command))]
  }

  /** With the /tmp of the place. `id` must be new on this machine: engines share runc's state. */
  #run(handler: keyof Runtimes, id: string, annotations: Annotations, command: readonly string[]): string[] {
    const options = Object.entries(annotations).flatMap(([key, value]) => ['--annotation', `${key}=${value}`])
    const mount = ['--mount', `type=bind,src=${this.#tmp},dst=/tmp,options=rbind:rw`]
    const fixed = ['--rm', '--snapshotter', 'native', '--runc-binary', this.#runtimes[handler], ...mount]
    return ['run', ...fixed, ...options, IMAGE, id, ...command]
  }
}
