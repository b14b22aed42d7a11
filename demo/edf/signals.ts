/** The synthetic biosignals of the demo's recording: the shapes are plausible, no more is claimed. */

export type Signal = {
  /** Label in the style of the EDF specification's standard texts: the signal's type, then the electrode. */
  label: string
  transducer: string
  /** Physical dimension. */
  unit: string
  /** Physical maximum, and minus it the minimum, in `unit`. */
  range: number
  /** Samples per second. */
  rate: number
  /** The value in `unit` at a time in seconds; `random` gives noise in [-1, 1). */
  at: (time: number, random: () => number) => number
}

export const SIGNALS: readonly Signal[] = [
  { label: 'ECG II', transducer: 'AgAgCl electrode', unit: 'uV', range: 3000, rate: 512, at: ecg },
  { label: 'EEG C3-A2', transducer: 'AgAgCl electrode', unit: 'uV', range: 250, rate: 256, at: eeg(10) },
  { label: 'EEG C4-A1', transducer: 'AgAgCl electrode', unit: 'uV', range: 250, rate: 256, at: eeg(9.5) },
  { label: 'Resp chest', transducer: 'Respiratory belt', unit: '%', range: 100, rate: 32, at: respiration },
]

/** Noise in [-1, 1) from a linear congruential generator modulo 2^32 (constants: Knuth, TAOCP vol. 2, section 3.3.4, table 1). */
export function noise(seed = 1): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 31 - 1
  }
}

/** 72 beats a minute: P wave, QRS complex and T wave, each a bell curve in the beat's phase (0 to 1), in uV. */
function ecg(time: number, random: () => number): number {
  const phase = (time * 72) / 60 - Math.floor((time * 72) / 60)
  const bell = (height: number, centre: number, width: number) => height * Math.exp(-(((phase - centre) / width) ** 2))
  const beat = bell(120, 0.2, 0.03) - bell(150, 0.37, 0.008) + bell(1400, 0.39, 0.01) - bell(300, 0.41, 0.009)
  return beat + bell(280, 0.65, 0.06) + 60 * Math.sin(2 * Math.PI * 0.25 * time) + 15 * random()
}

/** An alpha rhythm that waxes and wanes, over slower waves and noise, in uV. */
function eeg(alpha: number): Signal['at'] {
  return (time, random) =>
    30 * (1 + Math.sin(2 * Math.PI * 0.1 * time)) * Math.sin(2 * Math.PI * alpha * time) +
    20 * Math.sin(2 * Math.PI * 1.3 * time) +
    12 * random()
}

/** 15 breaths a minute, in per cent of the belt's range. */
function respiration(time: number, random: () => number): number {
  return 55 * Math.sin(2 * Math.PI * 0.25 * time) + 5 * Math.sin(2 * Math.PI * 0.5 * time) + random()
}
