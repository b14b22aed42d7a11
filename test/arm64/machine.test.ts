/** The tracer on arm64: learning and enforcing in a virtual machine, which qemu computes without help from this one's processor. */
import t from 'tap'
import { SHORT } from './programs.ts'
import { testSuite } from './suite.ts'

testSuite(t, 'trixie', SHORT)
