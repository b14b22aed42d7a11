/**
 * Answers for the helper, which acts on them (tracer/hook.c, precreate.c, shim.c): told where it has asked, and kept, so that it need not ask
 * again (tracer/decision.h has the format):
 *
 *   RUN_DIRECTORY/decisions/SHA256   of the host configuration's path, a NUL, and the question (src/oci/question.ts)
 *
 * An answer stands with all that it depended on besides the question, and is one only as long as nothing of that has changed. What it
 * depends on is looked at before it is read: a change in between makes an answer that is never repeated, instead of a wrong one.
 */
import { readdirSync } from 'node:fs'
import { basename, isAbsolute, join } from 'node:path'
import type { Settings } from '../decide/settings.ts'
import { DEFAULT_CONFIG } from '../decide/settings.ts'
import type { CachedFilter } from '../filter/cache.ts'
import { makeDirectory, removeOldest, trustedDirectory, writeAtomic } from '../host/files.ts'
import { sha256 } from '../host/hash.ts'
import { type Identity, identityOf } from '../host/identity.ts'
import { print } from '../host/output.ts'
import { RUN_DIRECTORY, STANDALONE, tracerPath } from '../host/paths.ts'

/** When there are more than this, the older half goes. */
const MAX_FILES = 1000

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
    }
)

/** One run of the program for the helper, and what it has looked at on its way to an answer. */
export class Memory {
  readonly #config: string
  readonly #program = identityOf('/proc/self/exe')
  readonly #helper = identityOf(tracerPath())
  /** Undefined: it is not there. */
  #configFile: Identity | undefined
  #policyFile: Identity | undefined

  /** `config`: the path of --config. */
  private constructor(config: string) {
    this.#config = config
  }

  /** Undefined in Node, which no helper asks. Throws TRACER_FAILED. */
  static begin(config = DEFAULT_CONFIG): Memory | undefined {
    return STANDALONE ? new Memory(config) : undefined
  }

  readonly lookAtConfig = (descriptor: number): void => {
    this.#configFile = identityOf(descriptor)
  }

  readonly lookAtPolicy = (descriptor: number): void => {
    this.#policyFile = identityOf(descriptor)
  }

  /**
   * Tells the helper, which goes on at once, and then keeps the answer. False where the answer cannot be told: then the work is to be done
   * here, and nothing to be left to do (pass).
   */
  answer(question: string | undefined, answer: Answer, keep = true): boolean {
    const lines = this.#linesOf(answer)
    if (lines === undefined) return false
    print(summed(lines))
    if (keep) this.keep(question, answer)
    return true
  }

  /** Keeps an answer that has been acted on. Never throws: what is not kept is asked again. */
  keep(question: string | undefined, answer: Answer): void {
    const lines = this.#linesOf(answer)
    const policyFile = answer.kind === 'pass' ? undefined : this.#policyFile
    if (lines === undefined || question === undefined) return
    // A change of these could go unseen.
    if (![this.#program, this.#helper, this.#configFile, policyFile].every((file) => file?.settled ?? true)) return
    // In another directory a relative path is another file.
    if (!isAbsolute(this.#config)) return
    try {
      const directory = join(RUN_DIRECTORY, 'decisions')
      makeDirectory(directory, 0o700)
      for (const path of [RUN_DIRECTORY, directory]) trustedDirectory(path)
      const head = [
        'oci-sandbox decision 1',
        `program ${this.#program.text}`,
        `helper ${this.#helper.text}`,
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

  /** Undefined where lines cannot tell it. */
  #linesOf(answer: Answer): string | undefined {
    const first = [`answer ${answer.kind}`, ...(answer.runtime === undefined ? [] : [`runtime ${answer.runtime}`])]
    if (/[\0\n]/.test(answer.runtime ?? '')) return undefined
    if (answer.kind === 'pass') return [...first, ''].join('\n')
    const { policy, settings, filter, startHook, endHook } = answer
    const { store, logLevel, setNoNewPrivileges } = settings
    if (this.#policyFile === undefined || /[\0\n]/.test(store)) return undefined
    return [
      ...first,
      `store ${store}`,
      `policy ${policy}`,
      `policy-file ${this.#policyFile.text}`,
      `journal-level ${logLevel}`,
      `no-new-privileges ${setNoNewPrivileges ? 1 : 0}`,
      ...(startHook === undefined ? [] : [`start-hook ${startHook}`]),
      ...(endHook === undefined ? [] : [`end-hook ${endHook}`]),
      ...filter.map(({ path }) => `filter ${basename(path, '.bpf')}`),
      '',
    ].join('\n')
  }
}

/** With the line that tells that it is whole. */
function summed(lines: string): string {
  return `${lines}sum ${sha256(lines)}\n`
}
