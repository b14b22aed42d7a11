/** Puts 1 to `most` tokens into bytes, each in the place of up to two of them. */
export function damaged(random: Random, bytes: Buffer, tokens: readonly string[], most: number): Buffer {
  const copy = [...bytes]
  for (let count = 1 + random.below(most); count > 0; count--) {
    const at = random.below(copy.length)
    const token = [...Buffer.from(random.pick(tokens), 'latin1')]
    copy.splice(at, random.below(3), ...token)
  }
  return Buffer.from(copy)
}

/** A small deterministic generator (a linear congruential one), so that a failing property test fails again. */
export class Random {
  #state: number

  constructor(seed: number) {
    this.#state = seed >>> 0
  }

  /** An integer from 0 to limit - 1. */
  below(limit: number): number {
    this.#state = (Math.imul(this.#state, 1664525) + 1013904223) >>> 0
    return Math.floor((this.#state / 2 ** 32) * limit)
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)] as T
  }

  chance(probability: number): boolean {
    return this.below(1_000_000) < probability * 1_000_000
  }

  bigint(bits: number): bigint {
    let value = 0n
    for (let at = 0; at < bits; at += 16) value = (value << 16n) | BigInt(this.below(65536))
    return BigInt.asUintN(this.chance(0.5) ? bits : 1 + this.below(bits), value)
  }

  shuffled<T>(items: readonly T[]): T[] {
    const rest = [...items]
    return items.map(() => rest.splice(this.below(rest.length), 1)[0] as T)
  }
}
