/** What a container engine needs of whoever starts one: a test's sandbox, or a benchmark's workspace. */

export interface Place {
  /** The engine has all its own below it. */
  readonly directory: string
  /** The /tmp of its containers. */
  readonly tmp: string
}

export interface Teardown {
  /** Has something done at the end; what came last is done first. */
  teardown(handler: () => unknown): void
}
