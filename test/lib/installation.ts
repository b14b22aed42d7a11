/** The programs as they are installed, and a system's configuration files below a directory, for install, uninstall and doctor. */
import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { execa } from 'execa'
import { type Result, resultOf } from './sandbox.ts'

const ROOT = join(import.meta.dirname, '../..')

export class Installation {
  readonly directory: string
  readonly bin: string
  /** What --root names. */
  readonly root: string

  private constructor(directory: string) {
    this.directory = directory
    this.bin = join(directory, 'prefix/bin')
    this.root = join(directory, 'root')
  }

  static create(t: { teardown(handler: () => void): void }): Installation {
    // Beside dist/, since hard links (the program has 110 MB) must stay on one file system.
    mkdirSync(join(ROOT, 'build'), { recursive: true })
    const installation = new Installation(mkdtempSync(join(ROOT, 'build/installation-')))
    t.teardown(() => rmSync(installation.directory, { recursive: true, force: true }))
    for (const path of [installation.bin, installation.root]) mkdirSync(path, { recursive: true })
    linkSync(join(ROOT, 'dist/oci-sandbox'), installation.program('oci-sandbox'))
    symlinkSync('../libexec/oci-sandbox/oci-sandbox-tracer', installation.program('oci-sandbox-runtime'))
    const libexec = join(installation.directory, 'prefix/libexec/oci-sandbox')
    mkdirSync(libexec, { recursive: true })
    linkSync(join(ROOT, 'dist/oci-sandbox-tracer'), join(libexec, 'oci-sandbox-tracer'))
    return installation
  }

  program(name: string): string {
    return join(this.bin, name)
  }

  get helper(): string {
    return join(this.directory, 'prefix/libexec/oci-sandbox/oci-sandbox-tracer')
  }

  async cli(...args: string[]): Promise<Result> {
    return resultOf(await execa(this.program('oci-sandbox'), args, { reject: false, env: {}, extendEnv: false }))
  }

  /** With --root. */
  async setup(...args: string[]): Promise<Result> {
    return await this.cli(...args, '--root', this.root)
  }

  path(path: string): string {
    return join(this.root, path)
  }

  write(path: string, text: string, mode = 0o644): void {
    mkdirSync(dirname(this.path(path)), { recursive: true })
    writeFileSync(this.path(path), text)
    chmodSync(this.path(path), mode)
  }

  link(path: string, target: string): void {
    mkdirSync(dirname(this.path(path)), { recursive: true })
    symlinkSync(target, this.path(path))
  }

  /** Undefined where it is not there. */
  read(path: string): string | undefined {
    return existsSync(this.path(path)) ? readFileSync(this.path(path), 'utf8') : undefined
  }
}
