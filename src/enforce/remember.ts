/**
 * Answers for the helper, which acts on them (tracer/repeat/hook.c, precreate.c, shim.c): told where it has asked, and kept, so that it need not ask
 * again (tracer/repeat/decision.h has the format):
 *
 *   RUN_DIRECTORY/decisions/SHA256   of the host configuration's path, a NUL, and the question (src/oci/question.ts)
 *
 * An answer stands with all that it depended on besides the question, and is one only as long as nothing of that has changed. What it
 * depends on is looked at before it is read: a change in between makes an answer that is never repeated, instead of a wrong one.
 */
import { existsSync, readdirSync } from 'node:fs'
import { basename, isAbsolute, join } from 'node:path'
import type { Settings } from '../decide/settings.ts'
import { DEFAULT_CONFIG } from '../decide/settings.ts'
import type { CachedFilter } from '../filter/cache.ts'
import { makeDirectory, removeOldest, trustedDirectory, writeAtomic } from '../host/files.ts'
import { sha256 } from '../host/hash.ts'
import { type Identity, identityOf } from '../host/identity.ts'
import { closeOutputs, print } from '../host/output.ts'
import { RUN_DIRECTORY, STANDALONE, tracerPath } from '../host/paths.ts'

/** When there are more than this, the older half goes. */
const MAX_FILES = 1000

/** Filters of more bytes than this are put into the cache first: the helper has no room for them in an answer (tracer/repeat/hook.c). */
const MAX_TOLD = 4096

export type Answer = {
  /** For the shim: the real runtime, as the configuration has it. */
  readonly runtime?: string
} & (
  | { readonly kind: 'pass' }
  | {
      readonly kind: 'enforce'
      readonly policy: string
      readonly settings: Settings
      readonly filter: CachedFilter
      /** For who prepares a bundle, as JSON: the hook that is to be added to createRuntime, and to poststop. */
      readonly startHook?: string
      readonly endHook?: string
      /** The program for crun's annotation, in base64, and what the journal is told of it. */
      readonly crun?: { readonly program: string; readonly note: string }
    }
)

/** One run of the program for the helper, and what it has looked at on its way to an answer. */
export class Memory {
  readonly #config: string
  /** Puts a filter into the cache that is not there yet. */
  #put: (() => void) | undefined
  /** Undefined: it is not there. */
  #configFile: Identity | undefined
  #policyFile: Identity | undefined
  #others: readonly { readonly path: string; readonly identity: Identity | undefined }[] = []

  /** `config`: the path of --config. */
  private constructor(config: string) {
    this.#config = config
  }

  /** Undefined in Node, which no helper asks. */
  static begin(config = DEFAULT_CONFIG): Memory | undefined {
    return STANDALONE ? new Memory(config) : undefined
  }

  readonly lookAtConfig = (descriptor: number): void => {
    this.#configFile = identityOf(descriptor)
  }

  readonly lookAtPolicy = (descriptor: number): void => {
    this.#policyFile = identityOf(descriptor)
  }

  /** Files that may not be there, by their absolute paths. */
  readonly lookAt = (paths: readonly string[]): void => {
    this.#others = paths.map((path) => ({ path, identity: existsSync(path) ? identityOf(path) : undefined }))
  }

  /** What is left to do until the answer is told, or cannot be. */
  readonly later = (put: () => void): void => {
    this.#put = put
  }

  /**
   * Tells the helper, which goes on at once; then keeps the answer, and what it needs; then closes standard output and standard error, for
   * which the helper waits. False where the answer cannot be told: then the work is to be done here, and nothing to be left to do (pass).
   * Throws what putting a filter into the cache throws, where that must come first.
   */
  answer(question: string | undefined, answer: Answer, keep = true): boolean {
    if (answer.kind === 'enforce' && bytesOf(answer.filter) > MAX_TOLD) this.#putAway()
    const lines = this.#linesOf(answer, this.#put !== undefined)
    if (lines === undefined) {
      this.#putAway()
      return false
    }
    print(summed(lines))
    try {
      this.#putAway()
      if (keep) this.keep(question, answer)
    } catch {
      // The container starts without: for the next one the filter is compiled again.
    }
    closeOutputs()
    return true
  }

  #putAway(): void {
    const put = this.#put
    this.#put = undefined
    put?.()
  }

  /** Keeps an answer that has been acted on. Never throws: what is not kept is asked again. */
  keep(question: string | undefined, answer: Answer): void {
    const lines = this.#linesOf(answer)
    const policyFile = answer.kind === 'pass' ? undefined : this.#policyFile
    if (lines === undefined || question === undefined) return
    // In another directory a relative path is another file.
    if (!isAbsolute(this.#config)) return
    try {
      // Not looked at before: this program is the file that was started, whatever stands in its place now; of the helper nothing was read.
      const [program, helper] = [identityOf('/proc/self/exe'), identityOf(tracerPath())]
      // A change of these could go unseen.
      const others = this.#others.map(({ identity }) => identity)
      if (![program, helper, this.#configFile, policyFile, ...others].every((file) => file?.settled ?? true)) return
      const directory = join(RUN_DIRECTORY, 'decisions')
      makeDirectory(directory, 0o700)
      for (const path of [RUN_DIRECTORY, directory]) trustedDirectory(path)
      const head = [
        'oci-sandbox decision 1',
        `program ${program.text}`,
        `helper ${helper.text}`,
        `config ${this.#config}`,
        `config-file ${this.#configFile?.text ?? '-'}`,
        `question ${Buffer.byteLength(question)}`,
        question,
      ]
      const path = join(directory, sha256(`${this.#config}\0`, question))
      writeAtomic(path, summed(head.join('\n') + lines), { mode: 0o600 })
      if (readdirSync(directory).length > MAX_FILES) removeOldest(directory, MAX_FILES / 2)
    } catch {
      // As said.
    }
  }

  /** Undefined where lines cannot tell it. `whole`: with the filter itself, as the cache does not have it yet. */
  #linesOf(answer: Answer, whole = false): string | undefined {
    const first = [`answer ${answer.kind}`, ...(answer.runtime === undefined ? [] : [`runtime ${answer.runtime}`])]
    if (/[\0\n]/.test(answer.runtime ?? '')) return undefined
    if (answer.kind === 'pass') return [...first, ''].join('\n')
    const { policy, settings, filter, startHook, endHook, crun } = answer
    const { store, logLevel, setNoNewPrivileges } = settings
    if (this.#policyFile === undefined) return undefined
    if (/[\0\n]/.test([store, crun?.note, ...this.#others.map(({ path }) => path)].join(''))) return undefined
    return [
      ...first,
      `store ${store}`,
      `policy ${policy}`,
      `policy-file ${this.#policyFile.text}`,
      `journal-level ${logLevel}`,
      `no-new-privileges ${setNoNewPrivileges ? 1 : 0}`,
      ...(startHook === undefined ? [] : [`start-hook ${startHook}`]),
      ...(endHook === undefined ? [] : [`end-hook ${endHook}`]),
      ...this.#others.map(({ path, identity }) => `rests-on ${identity?.text ?? '-'} ${path}`),
      ...(crun === undefined ? [] : [`note ${crun.note}`, `crun-program ${crun.program}`]),
      ...filter.map(({ path, program }) => (whole ? `program ${toHex(program)}` : `filter ${basename(path, '.bpf')}`)),
      '',
    ].join('\n')
  }
}

function bytesOf(filter: CachedFilter): number {
  return filter.reduce((sum, { program }) => sum + program.length, 0)
}

function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')
}

/** With the line that tells that it is whole. */
function summed(lines: string): string {
  return `${lines}sum ${sha256(lines)}\n`
}
