"""Large files to measure time with: `sizes.py FOLDER` writes a torch archive of a gigabyte and two raw pickles of 256 MB."""

import pathlib
import pickle
import sys

import torch_files

folder = pathlib.Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
if not (folder / "large.pt").exists():
    torch_files.large(folder / "large.pt")
if not (folder / "bytes.pkl").exists():
    # Values of a few megabytes, as arrays are.
    (folder / "bytes.pkl").write_bytes(pickle.dumps([bytes(4_000_000) for _ in range(64)], 4))
if not (folder / "numbers.pkl").exists():
    # Nothing but instructions: numbers, short texts, tuples.
    row = pickle.dumps([(index, float(index), f"word{index}") for index in range(20_000)], 4)
    (folder / "numbers.pkl").write_bytes(row * (256_000_000 // len(row)))
