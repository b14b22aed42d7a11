/** TAP on standard input -> a line for each test, what failed in full, and the closing line "N passed, N failed, N skipped". */
import { Parser, type Result } from 'tap-parser'

let passed = 0
let skipped = 0
const failures: string[] = []

function say(depth: number, text: string): void {
  process.stdout.write(`${'  '.repeat(depth)}${text}\n`)
}

/** What was found beside what was expected, and where; not the whole stack. */
function describe({ at, diff, found, wanted, source, ...rest }: Record<string, unknown>): string {
  const place = at as { fileName?: string; lineNumber?: number } | undefined
  const values = found === undefined && wanted === undefined ? [] : [JSON.stringify({ found, wanted }, null, 2)]
  const more = diff === undefined && values.length === 0 ? [JSON.stringify(rest, null, 2)] : []
  return [place && `at ${place.fileName}:${place.lineNumber}`, source, diff, ...values, ...more]
    .filter(Boolean)
    .join('\n')
}

/** Counts the assertions of a test. The point that closes a subtest repeats what is in it: it counts only where nothing in it failed. */
function watch(parser: Parser, depth: number): void {
  let failuresBefore = 0
  parser.on('child', (child: Parser) => {
    failuresBefore = failures.length
    watch(child, depth + 1)
  })
  parser.on('assert', (result: Result) => {
    const { ok, skip, closingTestPoint, time, diag } = result
    if (skip) {
      skipped++
      say(depth, `SKIPPED ${result.fullname}: ${skip}`)
    } else if (ok || result.todo) {
      if (!closingTestPoint) passed++
      else if (depth < 2) say(depth, `ok ${result.name} (${Math.round(time ?? 0)} ms)`)
    } else if (!closingTestPoint || failures.length === failuresBefore) {
      failures.push(`${result.fullname}\n${describe(diag ?? {})}`)
      say(depth, `FAILED ${result.fullname}`)
    }
  })
}

const parser = new Parser()
watch(parser, 0)
parser.on('bailout', (reason: string) => failures.push(`bailed out: ${reason}`))
parser.on('complete', () => {
  for (const failure of failures) say(0, `\nFAILED ${failure}`)
  say(0, `\n${passed} passed, ${failures.length} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`)
  process.exitCode = failures.length === 0 && passed > 0 ? 0 : 1
})
process.stdin.pipe(parser)
