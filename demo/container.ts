/**
 * Containers on stock runc, in a workspace of their own: its temporary directory holds runc's state, the bundles and
 * the store, and removing it deletes first the containers that are left, by id.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { execa, execaSync } from 'execa'
import { configJson, type Mode, type Program } from './bundle.ts'
import { BUILD } from './paths.ts'

/** Ends a container that hangs: nothing in the demo takes nearly as long. */
const TIMEOUT_MS = 120_000

export class Workspace {
  readonly directory = mkdtempSync(join(BUILD, 'run-'))
  /** oci-sandbox's host configuration: where its store is. */
  readonly config = this.write('config.json', { store: this.folder('store') })
  readonly #state = join(this.directory, 'runc')
  readonly #running = new Set<string>()
  #count = 0

  /** A directory in the workspace, made when it is not there. */
  folder(name: string): string {
    const path = join(this.directory, name)
    mkdirSync(path, { recursive: true })
    return path
  }

  /** Runs a program in a new container; the promise is fulfilled when it has ended and runc has deleted it. */
  run(program: Program, mode: Mode) {
    const id = `oci-sandbox-demo-${process.pid}-${++this.#count}`
    this.folder(id)
    this.write(join(id, 'config.json'), configJson(program, mode, this.config))
    this.#running.add(id)
    const container = execa('runc', ['--root', this.#state, 'run', '--bundle', id, id], {
      cwd: this.directory,
      stdin: 'ignore',
      reject: false,
      timeout: TIMEOUT_MS,
    })
    void container.then(({ timedOut }) => {
      if (!timedOut) this.#running.delete(id)
    })
    return container
  }

  private write(name: string, document: unknown): string {
    const path = join(this.directory, name)
    writeFileSync(path, JSON.stringify(document, null, 2))
    return path
  }

  /** Synchronous, so that it works at the process's exit. */
  remove(): void {
    for (const id of this.#running) {
      execaSync('runc', ['--root', this.#state, 'delete', '--force', id], { reject: false })
    }
    rmSync(this.directory, { recursive: true, force: true })
  }
}
