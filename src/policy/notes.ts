/** What is said about a conversion: notes of one text are one line, with all their objects. */
export class Notes {
  readonly #objects = new Map<string, Set<string>>()

  add(text: string, object?: string): void {
    const objects = this.#objects.get(text) ?? new Set()
    if (object !== undefined) objects.add(object)
    this.#objects.set(text, objects)
  }

  /** A line for each, sorted. */
  get lines(): string[] {
    const lines = [...this.#objects].map(([text, objects]) =>
      objects.size === 0 ? text : `${text}: ${[...objects].sort().join(' ')}`,
    )
    return lines.sort()
  }
}
