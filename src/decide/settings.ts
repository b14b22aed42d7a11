/** The host's configuration: its word over the annotations. */
import { SandboxError } from '../errors.ts'
import { isConfig } from '../generated/check.ts'
import type { HostConfig } from '../generated/config.ts'
import { validators } from '../generated/validate.js'
import { readTrusted } from '../host/files.ts'
import type { LogLevel } from '../host/journal.ts'
import { parseObject } from '../json.ts'
import { ACTIONS, DETAILS, type Detail, MODES, type Mode, type ViolationAction } from '../oci/annotations.ts'
import { type CompiledSchema, listProblems, schemaProblems } from '../validate.ts'
import { type Requirement, requirementProblems } from './required.ts'

export const DEFAULT_CONFIG = '/etc/oci-sandbox/config.json'
export const DEFAULT_STORE = '/var/lib/oci-sandbox'
export const DEFAULT_RUNTIME = 'runc'

/** How a policy is put into force; auto chooses among the others. */
export type EnforceMethod = NonNullable<NonNullable<HostConfig['enforce']>['method']>
/** How a container that learns is watched; auto chooses among the others. */
export type LearnBackend = NonNullable<NonNullable<HostConfig['learn']>['backend']>

/** The configuration with every default filled in. */
export interface Settings {
  readonly store: string
  readonly modes: readonly Mode[]
  readonly actions: readonly ViolationAction[]
  readonly details: readonly Detail[]
  readonly setNoNewPrivileges: boolean
  readonly siblings: boolean
  /** The runtime that the shim becomes: a name or an absolute path. */
  readonly runtime: string
  readonly enforce: { readonly method: EnforceMethod }
  readonly learn: { readonly backend: LearnBackend }
  /** The first that matches a container holds. */
  readonly required: readonly Requirement[]
  readonly logLevel: LogLevel
}

/**
 * Reads the configuration. Without a path the usual one, which may be missing; a path that was given must be there. `look` gets the
 * descriptor of the file before it is read. Throws HOST_CONFIG_INVALID, STORE_UNSAFE.
 */
export function loadSettings(path?: string, look?: (descriptor: number) => void): Settings {
  const file = path ?? DEFAULT_CONFIG
  const bytes = readTrusted(file, look)
  if (bytes === undefined) {
    if (path !== undefined) throw invalid(file, 'there is no such file; give another one with --config FILE')
    return withDefaults({})
  }
  return withDefaults(decodeSettings(bytes.toString('utf8'), file))
}

const CONFIG: CompiledSchema = { isValid: isConfig, validator: () => validators().validateConfig }

/** Decodes a configuration; `file` names it in messages. Throws HOST_CONFIG_INVALID. */
export function decodeSettings(text: string, file: string): HostConfig {
  const value = parseObject(text, (problem) => {
    throw invalid(file, problem)
  })
  const problems = schemaProblems(CONFIG, value)
  if (problems !== undefined) throw invalid(file, problems)
  const config = value as HostConfig
  const contradictions = requirementProblems(config.required ?? [])
  if (contradictions.length > 0) throw invalid(file, listProblems(contradictions))
  return config
}

/** The settings of a configuration in which the rest is left out. */
export function withDefaults(config: HostConfig): Settings {
  return {
    store: config.store ?? DEFAULT_STORE,
    modes: config.modes ?? MODES,
    actions: config.actions ?? ACTIONS,
    details: config.details ?? DETAILS,
    setNoNewPrivileges: config.setNoNewPrivileges ?? false,
    siblings: config.siblings ?? true,
    runtime: config.runtime ?? DEFAULT_RUNTIME,
    enforce: { method: config.enforce?.method ?? 'auto' },
    learn: { backend: config.learn?.backend ?? 'auto' },
    required: config.required ?? [],
    logLevel: config.logLevel ?? 'info',
  }
}

function invalid(file: string, problem: string): SandboxError {
  return new SandboxError('HOST_CONFIG_INVALID', `host configuration ${file}: ${problem}`)
}
