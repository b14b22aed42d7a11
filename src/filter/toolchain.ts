/** All that it takes to compile a policy, for one import(): whoever finds a compiled filter in the cache loads none of it. */
export { compileFilter } from './compile.ts'
export { libraryOf, seccompLibrary, syscallTable } from './library.ts'
