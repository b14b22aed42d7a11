/** node bench/compile-once.ts POLICY: compiles one policy in a fresh process; prints the milliseconds without those of starting it. */
import { readFileSync } from 'node:fs'
import { compileFilter } from '../src/filter/compile.ts'
import { seccompLibrary } from '../src/filter/library.ts'
import { decodePolicy } from '../src/policy/document.ts'

const path = process.argv[2] as string
const policy = decodePolicy(readFileSync(path, 'utf8'), path)
const start = performance.now()
compileFilter(seccompLibrary(), policy, 'errno')
console.log(performance.now() - start)
