/**
 * Answers of the enforce hook, kept for the helper, which repeats them without this program (tracer/decision.h has the format):
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
import { RUN_DIRECTORY, STANDALONE, tracerPath } from '../host/paths.ts'

/** When there are more than this, the older half goes. */
const MAX_FILES = 1000

export type Answer =
  | { readonly kind: 'pass' }
  | { readonly kind: 'enforce'; readonly policy: string; readonly settings: Settings; readonly filter: CachedFilter }

/** What one run of the hook has looked at on its way to an answer. */
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

  /**
   * Undefined where nothing can be kept: in Node this program is no single file whose change could be seen, and a relative path is another
   * file in another directory. Throws TRACER_FAILED.
   */
  static begin(config = DEFAULT_CONFIG): Memory | undefined {
    return STANDALONE && isAbsolute(config) ? new Memory(config) : undefined
  }

  readonly lookAtConfig = (descriptor: number): void => {
    this.#configFile = identityOf(descriptor)
  }

  readonly lookAtPolicy = (descriptor: number): void => {
    this.#policyFile = identityOf(descriptor)
  }

  /** Never throws: what is not kept is asked again. */
  keep(question: string, answer: Answer): void {
    try {
      const record = this.#record(question, answer)
      if (record === undefined) return
      const directory = join(RUN_DIRECTORY, 'decisions')
      makeDirectory(directory, 0o700)
      for (const path of [RUN_DIRECTORY, directory]) trustedDirectory(path)
      const path = join(directory, sha256(`${this.#config}\0`, question))
      writeAtomic(path, `${record}sum ${sha256(record)}\n`, { mode: 0o600 })
      if (readdirSync(directory).length > MAX_FILES) removeOldest(directory, MAX_FILES / 2)
    } catch {
      // As said.
    }
  }

  /** Undefined where a change could go unseen. */
  #record(question: string, answer: Answer): string | undefined {
    const files = [
      this.#program,
      this.#helper,
      this.#configFile,
      answer.kind === 'enforce' ? this.#policyFile : undefined,
    ]
    if (!files.every((file) => file?.settled ?? true)) return undefined
    const lines = answer.kind === 'pass' ? ['answer pass'] : this.#enforceLines(answer)
    if (lines === undefined) return undefined
    return [
      'oci-sandbox decision 1',
      `program ${this.#program.text}`,
      `helper ${this.#helper.text}`,
      `config ${this.#config}`,
      `config-file ${this.#configFile?.text ?? '-'}`,
      `question ${Buffer.byteLength(question)}`,
      question + lines.join('\n'),
      '',
    ].join('\n')
  }

  #enforceLines({ policy, settings, filter }: Extract<Answer, { kind: 'enforce' }>): string[] | undefined {
    const { store, logLevel, setNoNewPrivileges } = settings
    if (this.#policyFile === undefined || /[\0\n]/.test(store)) return undefined
    return [
      'answer enforce',
      `store ${store}`,
      `policy ${policy}`,
      `policy-file ${this.#policyFile.text}`,
      `journal-level ${logLevel}`,
      `no-new-privileges ${setNoNewPrivileges ? 1 : 0}`,
      ...filter.map(({ path }) => `filter ${basename(path, '.bpf')}`),
    ]
  }
}
