/** The lines of a text with their numbers, from 1. The last one may lack its newline: `torn`. */
export function* lines(text: string): Generator<{ line: string; number: number; torn: boolean }> {
  let start = 0
  for (let number = 1; start < text.length; number++) {
    const end = text.indexOf('\n', start)
    const line = end === -1 ? text.slice(start) : text.slice(start, end)
    yield { line: line.endsWith('\r') ? line.slice(0, -1) : line, number, torn: end === -1 }
    if (end === -1) return
    start = end + 1
  }
}
