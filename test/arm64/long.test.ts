/** The same with more programs, and with an older kernel (6.1 in place of 6.12). TEST_ALL only. */
import t from 'tap'
import { LONG, SHORT } from './programs.ts'
import { testSuite } from './suite.ts'

if (process.env.TEST_ALL === '1') {
  testSuite(t, 'trixie', LONG)
  testSuite(t, 'bookworm', SHORT)
} else {
  t.plan(0, 'only in `make test-all`')
}
