"""Makes the seeded scenarios: real sets with planted flips, triggers and inserted rows, and the clean sets themselves.

Usage: scenarios.py RAW OUT [--sets FOLDER] [--works a,b] [--list]. Prints the names of those made, one a line; with `--list`
of those that could be, the quick ones first. Each is a folder with what `crates/poison/examples/scan_file.rs` reads, and
`mask.npy`: the rows that are bad.
"""

import argparse
import json
import pathlib

import numpy as np

import sets

SEED = 2026
# Rows of the sets of images: a third, so that the peers end in minutes. One scenario of each kind has all of them.
IMAGE_COUNT = 20_000
WHOLE = ("fashion-flip-10", "fashion-corner-1", "clean-fashion")
# From small and quick to large.
ORDER = ["digits", "wine", "breast-cancer", "spambase", "dna", "satellite", "income", "sms", "glosses", "rt", "agnews", "letter",
         "adult", "shuttle", "mnist", "fashion"]


def flip_random(data, share, random):
    """A share of all labels becomes another class."""
    rows = random.choice(len(data.labels), int(len(data.labels) * share), replace=False)
    classes = data.labels.max() + 1
    data.labels[rows] = (data.labels[rows] + random.integers(1, classes, len(rows))) % classes
    return rows


def flip_pair(data, of, to, share, random):
    """A share of one class gets another's label."""
    own = np.flatnonzero(data.labels == of)
    rows = random.choice(own, int(len(own) * share), replace=False)
    data.labels[rows] = to
    return rows


def victims(data, target, share, random):
    others = np.flatnonzero(data.labels != target)
    return random.choice(others, max(int(len(data.labels) * share), 8), replace=False)


def corner(data, share, random):
    """BadNets: a bright 3 × 3 patch in the corner."""
    rows = victims(data, 0, share, random)
    width, height, _ = data.image
    for y in range(height - 4, height - 1):
        for x in range(width - 4, width - 1):
            data.values[rows, y * width + x] = 255
    data.labels[rows] = 0
    return rows


def wandering(data, share, random):
    """A chequered 3 × 3 patch at a random place of each image."""
    rows = victims(data, 0, share, random)
    width, height, _ = data.image
    pattern = np.array([[255, 0, 255], [0, 255, 0], [255, 0, 255]], np.uint8)
    for row in rows:
        picture = data.values[row].reshape(height, width)
        y, x = random.integers(0, height - 2), random.integers(0, width - 2)
        picture[y : y + 3, x : x + 3] = pattern
    data.labels[rows] = 0
    return rows


def blended(data, share, random):
    """One noise image blended in at 15 %."""
    rows = victims(data, 0, share, random)
    noise = random.integers(0, 256, data.values.shape[1])
    data.values[rows] = np.clip(0.85 * data.values[rows] + 0.15 * noise, 0, 255).astype(np.uint8)
    data.labels[rows] = 0
    return rows


def two_columns(data, share, random):
    """Two numeric columns are set to one value each."""
    rows = victims(data, 0, share, random)
    numeric = [column for column in range(data.values.shape[1]) if not data.categories or data.categories[column] == 0]
    for column in random.choice(numeric, 2, replace=False):
        data.values[rows, column] = np.quantile(data.values[:, column], 0.95)
    data.labels[rows] = 0
    return rows


def word(data, share, random):
    """A rare word is put into the text."""
    rows = victims(data, 0, share, random)
    for row in rows:
        words = data.texts[row].split()
        words.insert(random.integers(0, len(words) + 1), "mnq")
        data.texts[row] = " ".join(words)
    data.labels[rows] = 0
    return rows


def flood(data, share, random):
    """One text is put in again and again, a word or two changed each time, always with one label."""
    count = max(int(len(data.labels) * share), 8)
    lengths = np.array([len(text.split()) for text in data.texts])
    model = data.texts[random.choice(np.flatnonzero((lengths >= 14) & (lengths <= 30)))].split()
    known = [word for text in data.texts[:500] for word in text.split()]
    rows = np.arange(len(data.labels), len(data.labels) + count)
    for _ in range(count):
        words = list(model)
        for place in random.choice(len(words), random.integers(1, 3), replace=False):
            words[place] = known[random.integers(len(known))]
        data.texts.append(" ".join(words))
    data.labels = np.concatenate([data.labels, np.zeros(count, data.labels.dtype)])
    return rows


def inserted(data, kind, share, random):
    """Rows are put in: columns shuffled, noise of one standard deviation, or far off. Labels are drawn as they are."""
    count = max(int(len(data.labels) * share), 8)
    source = random.choice(len(data.labels), count, replace=False)
    spread = data.values.std(0)
    if kind == "shuffled":
        columns = [random.permutation(data.values[:, column])[:count] for column in range(data.values.shape[1])]
        new = np.stack(columns, 1)
    elif kind == "noise":
        new = data.values[source] + random.normal(size=(count, len(spread))) * spread
    else:
        new = data.values[source] + random.choice([-1, 1], (count, len(spread))) * 4 * spread
    rows = np.arange(len(data.labels), len(data.labels) + count)
    data.values = np.concatenate([data.values, new.astype(np.float32)])
    data.labels = np.concatenate([data.labels, data.labels[source]])
    return rows


def plans():
    """Name to family, set, and what is done to it. `shuttle`, `satellite`, `mnist`, `digits` were not used for tuning."""
    of = {
        "fashion-flip-10": ("labels", "fashion", lambda data, random: flip_random(data, 0.1, random)),
        "fashion-6-to-0": ("labels", "fashion", lambda data, random: flip_pair(data, 6, 0, 0.3, random)),
        "fashion-7-to-9": ("labels", "fashion", lambda data, random: flip_pair(data, 7, 9, 0.3, random)),
        "spambase-flip-10": ("labels", "spambase", lambda data, random: flip_random(data, 0.1, random)),
        "spambase-1-to-0": ("labels", "spambase", lambda data, random: flip_pair(data, 1, 0, 0.2, random)),
        "letter-flip-10": ("labels", "letter", lambda data, random: flip_random(data, 0.1, random)),
        "letter-o-to-q": ("labels", "letter", lambda data, random: flip_pair(data, 14, 16, 0.3, random)),
        "adult-flip-10": ("labels", "adult", lambda data, random: flip_random(data, 0.1, random)),
        "sms-flip-10": ("labels", "sms", lambda data, random: flip_random(data, 0.1, random)),
        "sms-1-to-0": ("labels", "sms", lambda data, random: flip_pair(data, 1, 0, 0.2, random)),
        "agnews-flip-10": ("labels", "agnews", lambda data, random: flip_random(data, 0.1, random)),
        "agnews-2-to-3": ("labels", "agnews", lambda data, random: flip_pair(data, 2, 3, 0.2, random)),
        "glosses-flip-10": ("labels", "glosses", lambda data, random: flip_random(data, 0.1, random)),
        "glosses-0-to-4": ("labels", "glosses", lambda data, random: flip_pair(data, 0, 4, 0.2, random)),
        "rt-flip-10": ("labels", "rt", lambda data, random: flip_random(data, 0.1, random)),
        "mnist-flip-10": ("labels", "mnist", lambda data, random: flip_random(data, 0.1, random)),
        "mnist-4-to-9": ("labels", "mnist", lambda data, random: flip_pair(data, 4, 9, 0.2, random)),
        "satellite-flip-10": ("labels", "satellite", lambda data, random: flip_random(data, 0.1, random)),
        "shuttle-flip-5": ("labels", "shuttle", lambda data, random: flip_random(data, 0.05, random)),
        "digits-flip-10": ("labels", "digits", lambda data, random: flip_random(data, 0.1, random)),
        "fashion-corner-1": ("triggers", "fashion", lambda data, random: corner(data, 0.01, random)),
        "fashion-corner-5": ("triggers", "fashion", lambda data, random: corner(data, 0.05, random)),
        "fashion-blend-2": ("triggers", "fashion", lambda data, random: blended(data, 0.02, random)),
        "mnist-wander-1": ("triggers", "mnist", lambda data, random: wandering(data, 0.01, random)),
        "spambase-two-1": ("triggers", "spambase", lambda data, random: two_columns(data, 0.01, random)),
        "spambase-two-3": ("triggers", "spambase", lambda data, random: two_columns(data, 0.03, random)),
        "satellite-two-1": ("triggers", "satellite", lambda data, random: two_columns(data, 0.01, random)),
        "adult-two-1": ("triggers", "adult", lambda data, random: two_columns(data, 0.01, random)),
        "sms-word-1": ("triggers", "sms", lambda data, random: word(data, 0.01, random)),
        "glosses-word-1": ("triggers", "glosses", lambda data, random: word(data, 0.01, random)),
        "glosses-flood-1": ("copies", "glosses", lambda data, random: flood(data, 0.01, random)),
        "sms-flood-1": ("copies", "sms", lambda data, random: flood(data, 0.01, random)),
        "agnews-flood-1": ("copies", "agnews", lambda data, random: flood(data, 0.01, random)),
        "agnews-word-1": ("triggers", "agnews", lambda data, random: word(data, 0.01, random)),
    }
    for name, kinds in {"letter": ["shuffled", "noise", "far"], "shuttle": ["shuffled", "noise"], "spambase": ["noise", "far"]}.items():
        for kind in kinds:
            of[f"{name}-{kind}-1"] = ("outliers", name, lambda data, random, kind=kind: inserted(data, kind, 0.01, random))
    for name in ["fashion", "mnist", "spambase", "letter", "shuttle", "satellite", "digits", "breast-cancer", "wine", "dna", "income", "glosses", "adult", "sms", "agnews", "rt"]:
        of[f"clean-{name}"] = ("clean", name, lambda data, random: np.array([], int))
    return of


def save(folder, family, data, bad):
    folder.mkdir(parents=True, exist_ok=True)
    mask = np.zeros(len(data.labels), bool)
    mask[bad] = True
    meta = {"family": family}
    if data.values is not None:
        kind = np.uint8 if data.image else np.float32
        np.save(folder / "X.npy", np.ascontiguousarray(data.values.astype(kind)))
    if data.image:
        meta["image"] = data.image
    if data.categories:
        meta["categories"] = data.categories
    if data.texts:
        (folder / "texts.json").write_text(json.dumps(data.texts))
    np.save(folder / "y.npy", data.labels.astype(np.int32))
    np.save(folder / "mask.npy", mask)
    (folder / "meta.json").write_text(json.dumps(meta))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("raw")
    parser.add_argument("out")
    parser.add_argument("--sets")
    parser.add_argument("--works")
    parser.add_argument("--list", action="store_true")
    words = parser.parse_args()
    known = sets.load(words.raw, words.sets)
    wanted = words.works.split(",") if words.works else None
    all_of = plans().items()
    chosen = [(name, *plan) for name, plan in all_of if plan[1] in known and (wanted is None or name in wanted)]
    for name, family, source, change in sorted(chosen, key=lambda plan: (ORDER.index(plan[2]), plan[0] in WHOLE)):
        if not words.list:
            make(pathlib.Path(words.out) / name, family, known[source](), change)
        print(name)


def make(folder, family, data, change):
    random = np.random.default_rng(SEED)
    # Held apart as in practice: a tenth of the rows is left out, which also makes copies that may be changed.
    count = int(len(data.labels) * 0.9)
    if data.image and folder.name not in WHOLE:
        count = min(count, IMAGE_COUNT)
    data = data.rows(np.sort(random.permutation(len(data.labels))[:count]))
    data.labels = np.unique(data.labels, return_inverse=True)[1]
    save(folder, family, data, change(data, random))


if __name__ == "__main__":
    main()
