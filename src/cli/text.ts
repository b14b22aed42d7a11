/** Text for terminals. */

/** Rows of cells in aligned columns. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? []
  return rows
    .map(
      (row) =>
        `${row
          .map((cell, column) => cell.padEnd(widths[column] ?? 0))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('')
}

/** Words in lines of at most `width` characters, each line indented. */
export function fill(words: readonly string[], indent: string, width = 100): string {
  const lines: string[] = []
  let line = indent
  for (const word of words) {
    if (line.length > indent.length && line.length + 1 + word.length > width) {
      lines.push(line)
      line = indent
    }
    line += line === indent ? word : ` ${word}`
  }
  return [...lines, line].map((text) => `${text}\n`).join('')
}

/** What people said, a line each. */
export function commentLines(comments: readonly string[], indent: string): string {
  return comments.map((comment) => `${indent}# ${comment}\n`).join('')
}

export { count } from '../count.ts'
