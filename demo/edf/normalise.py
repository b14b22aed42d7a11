"""Normalises an EDF recording: every channel to zero mean and unit variance.

Reads /data/recording.edf, prints a table of the channels and writes /out/normalised.edf, an EDF file again, its values
in standard deviations. The same input gives the same output, byte for byte.

The format: Kemp et al., Electroencephalography and Clinical Neurophysiology 82 (1992) 391-393.
"""

import math
import sys

import numpy as np

SOURCE = "/data/recording.edf"
TARGET = "/out/normalised.edf"

# Header fields that exist once per signal: name and width in bytes, in the file's order.
SIGNAL_FIELDS = (
    ("label", 16), ("transducer", 80), ("unit", 8), ("physical_min", 8), ("physical_max", 8), ("digital_min", 8),
    ("digital_max", 8), ("prefiltering", 80), ("samples", 8), ("reserved", 32),
)


def read(path):
    """The file's fixed header (256 bytes), its signals' header fields and their digital samples."""
    with open(path, "rb") as file:
        content = file.read()
    fixed = content[:256].decode("ascii")
    records, count = int(fixed[236:244]), int(fixed[252:256])
    signals, offset = [{} for _ in range(count)], 256
    for name, width in SIGNAL_FIELDS:
        for signal in signals:
            signal[name] = content[offset:offset + width].decode("ascii").strip()
            offset += width
    if offset != int(fixed[184:192]):
        raise ValueError(f"{path}: a header of {fixed[184:192].strip()} bytes cannot hold {count} signals")
    per_record = [int(signal["samples"]) for signal in signals]
    data = np.frombuffer(content, "<i2", offset=offset).reshape(records, sum(per_record))
    return fixed, signals, np.split(data, np.cumsum(per_record)[:-1], axis=1)


def physical(signal, samples):
    """Digital samples in the signal's physical unit."""
    low, high = float(signal["physical_min"]), float(signal["physical_max"])
    first, last = int(signal["digital_min"]), int(signal["digital_max"])
    return low + (samples.astype(np.float64) - first) * (high - low) / (last - first)


def normalise(signal, samples):
    """The signal's new header fields and samples, in standard deviations, and the mean and deviation it had."""
    values = physical(signal, samples)
    mean, deviation = values.mean(), values.std()
    scores = (values - mean) / deviation if deviation > 0 else values - mean
    limit = max(1, math.ceil(np.abs(scores).max()))
    step = 2 * limit / 65534
    changed = {
        **signal, "unit": "SD", "physical_min": str(-limit), "physical_max": str(limit), "digital_min": "-32767",
        "digital_max": "32767",
    }
    return changed, np.rint(scores / step).astype("<i2"), mean, deviation


def write(path, fixed, signals, samples):
    """An EDF file of the same shape."""
    header = fixed + "".join(signal[name].ljust(width) for name, width in SIGNAL_FIELDS for signal in signals)
    with open(path, "wb") as file:
        file.write(header.encode("ascii"))
        file.write(np.concatenate(samples, axis=1).tobytes())


def main(source=SOURCE, target=TARGET):
    fixed, signals, samples = read(source)
    print(f"{'channel':<16} {'samples':>8} {'mean':>12} {'deviation':>12} unit")
    changed = []
    for signal, digital in zip(signals, samples):
        *result, mean, deviation = normalise(signal, digital)
        print(f"{signal['label']:<16} {digital.size:>8} {mean:>12.4f} {deviation:>12.4f} {signal['unit']}")
        changed.append(result)
    write(target, fixed, *zip(*changed))
    print(f"wrote {target}")


if __name__ == "__main__":
    main(*sys.argv[1:])
