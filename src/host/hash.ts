/**
 * SHA-256 and random names. Bun's own are at hand; importing node:crypto would add 2.5 ms to every start of a hook, so on Node it is
 * asked for when it is used.
 */

/** SHA-256 of the parts, one after the other, in hexadecimal. */
export function sha256(...parts: readonly (string | Uint8Array)[]): string {
  const hash: Hash = globalThis.Bun === undefined ? nodeHash() : new globalThis.Bun.CryptoHasher('sha256')
  for (const part of parts) hash.update(part)
  return hash.digest('hex')
}

interface Hash {
  update(data: string | Uint8Array): unknown
  digest(encoding: 'hex'): string
}

function nodeHash(): Hash {
  return process.getBuiltinModule('node:crypto').createHash('sha256')
}

/** `bytes` random bytes in hexadecimal. */
export function randomHex(bytes: number): string {
  return Buffer.from(globalThis.crypto.getRandomValues(new Uint8Array(bytes))).toString('hex')
}
