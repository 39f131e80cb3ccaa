"""Makes a synthetic table of 64 columns and ten classes with 5 % flipped labels. Usage: size.py FOLDER ROWS."""

import json
import pathlib
import sys

import numpy as np


def main():
    folder, rows = pathlib.Path(sys.argv[1]), int(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(2026)
    labels = random.integers(0, 10, rows)
    centres = random.normal(size=(10, 64)).astype(np.float32)
    values = centres[labels] * 0.6 + random.standard_normal((rows, 64), dtype=np.float32)
    bad = random.choice(rows, rows // 20, replace=False)
    labels[bad] = (labels[bad] + random.integers(1, 10, len(bad))) % 10
    mask = np.zeros(rows, bool)
    mask[bad] = True
    np.save(folder / "X.npy", values)
    np.save(folder / "y.npy", labels.astype(np.int32))
    np.save(folder / "mask.npy", mask)
    (folder / "meta.json").write_text(json.dumps({"family": "labels"}))


if __name__ == "__main__":
    main()
