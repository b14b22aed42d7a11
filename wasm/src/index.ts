export type { Action } from './action.ts'
export {
  type Arch,
  type ArchDescription,
  archFromAudit,
  archFromScmp,
  architectures,
  archNames,
  isArch,
} from './arch.ts'
export type { Comparison } from './comparison.ts'
export { SeccompError, type SeccompErrorCode } from './error.ts'
export type { Filter, FilterOptions } from './filter.ts'
export { load, loadSync, type ModuleSource } from './load.ts'
export type { Seccomp } from './seccomp.ts'
