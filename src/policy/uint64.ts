import type { Uint64 } from '../generated/policy.ts'

export function decodeUint64(value: Uint64): bigint {
  return BigInt(value)
}

/** As a number where every reader of JSON keeps it exact, else as a decimal string. */
export function encodeUint64(value: bigint): Uint64 {
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value.toString()
}
