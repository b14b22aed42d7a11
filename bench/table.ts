/** Tables that read well on a terminal and are Markdown at the same time. */

export interface Table {
  readonly title: string
  readonly header: readonly string[]
  readonly rows: readonly (readonly string[])[]
  /** Printed below the table, a paragraph each. */
  readonly notes: readonly string[]
}

/** Markdown; the first column is text, the others are numbers. */
export function format({ title, header, rows, notes }: Table): string {
  const widths = header.map((cell, column) => Math.max(cell.length, 3, ...rows.map((row) => row[column]?.length ?? 0)))
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, column) => (column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0))).join(' | ')} |`
  const rule = `| ${widths.map((width, column) => (column === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`)).join(' | ')} |`
  return `${[`### ${title}`, [line(header), rule, ...rows.map(line)].join('\n'), ...notes].join('\n\n')}\n`
}
