import { sha256 } from '../host/hash.ts'

/** A policy's name: a file name that cannot leave the store (no slash, no leading dot, no NUL). The same pattern as in the schema. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/

/** What a name may be, for messages. */
export const NAME_RULE = 'a letter or digit, then up to 127 letters, digits, ".", "_" or "-"'

export function isPolicyName(name: string): boolean {
  return NAME.test(name)
}

/**
 * The policy's name for an image reference or digest: readable, and distinct for distinct images (48 bits of SHA-256), as
 * "a/b" and "a_b" are two images.
 */
export function policyNameOfImage(image: string): string {
  const digest = sha256(image).slice(0, 12)
  const readable = image.replace(/^[^A-Za-z0-9]+/, '').replace(/[^A-Za-z0-9.-]+/g, '_')
  return `${readable.slice(0, 100) || 'image'}-${digest}`
}
