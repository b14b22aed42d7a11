/** Lists of lines that people wrote: sets, so that they can be merged in any order. Pure. */

/** Sorted, each once; nothing where there are none. For an object literal: the same text is in the same place. */
export function sortedLines<Key extends string>(
  key: Key,
  ...lists: readonly (readonly string[] | undefined)[]
): Partial<Record<Key, string[]>> {
  const lines = [...new Set(lists.flatMap((list) => list ?? []))].sort()
  return lines.length === 0 ? {} : ({ [key]: lines } as Record<Key, string[]>)
}
