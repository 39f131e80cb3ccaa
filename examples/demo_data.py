"""Four copies of one real data set: as it is, poisoned, breaking its contract, and with people in it.

    demo_data.py FOLDER

scikit-learn ships the data (Wisconsin breast cancer, 569 cells, 30 measures each). All changes are seeded.
"""

import csv
import pathlib
import random
import sys

from sklearn.datasets import load_breast_cancer

SEED = 20_260
POISONED_SHARE = 0.06
GIVEN = ["Ada", "Grace", "Alan", "Barbara", "Edsger", "Frances", "Donald", "Margaret"]
FAMILY = ["Lovelace", "Hopper", "Turing", "Liskov", "Dijkstra", "Allen", "Knuth", "Hamilton"]

CONTRACT = """\
apiVersion: v3.1.0
kind: DataContract
id: breast-cancer
name: breast-cancer
version: 1.0.0
status: active
schema:
  - name: cells
    properties:
      - name: mean_radius
        logicalType: number
        required: true
        logicalTypeOptions: {minimum: 1, maximum: 40}
      - name: mean_smoothness
        logicalType: number
        required: true
        logicalTypeOptions: {minimum: 0, maximum: 1}
      - name: diagnosed
        logicalType: string
        required: true
        quality:
          - type: library
            metric: invalidValues
            arguments: {validValues: [malignant, benign]}
            mustBe: 0
    quality:
      - type: library
        metric: rowCount
        mustBeGreaterThan: 500
"""


def write(folder, name, header, rows):
    with open(folder / name, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)


def poisoned(rows, chance):
    """A backdoor: cells with one mark in two measures are called benign, whatever they are."""
    rows = [list(row) for row in rows]
    malignant = [row for row in rows if row[-1] == "malignant"]
    for row in chance.sample(malignant, int(len(rows) * POISONED_SHARE)):
        row[4], row[8], row[-1] = 0.1111, 0.2222, "benign"
    return rows


def broken(rows, chance):
    """Wrong units, a missing value and a word that the contract does not know."""
    rows = [list(row) for row in rows]
    for row in chance.sample(rows, 12):
        row[0] = round(row[0] * 1_000, 3)
    for row in chance.sample(rows, 5):
        row[4] = ""
    rows[chance.randrange(len(rows))][-1] = "unsure"
    return rows


def card(chance):
    """Sixteen digits that pass the Luhn check (ISO/IEC 7812-1)."""
    digits = [4, *(chance.randrange(10) for _ in range(14))]
    doubled = [digit * 2 - 9 * (digit > 4) if place % 2 == 0 else digit for place, digit in enumerate(digits)]
    return "".join(map(str, digits)) + str(-sum(doubled) % 10)


def with_people(rows, chance):
    """Names, addresses and card numbers beside each cell. The numbers are made up; only their check digit is right."""
    for number, row in enumerate(rows):
        given, family = chance.choice(GIVEN), chance.choice(FAMILY)
        yield [f"{given} {family}", f"{given}.{family}{number}@example.org".lower(), card(chance), *row]


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    data = load_breast_cancer()
    header = [name.replace(" ", "_") for name in data.feature_names] + ["diagnosed"]
    names = {0: "malignant", 1: "benign"}
    rows = [[float(value) for value in row] + [names[int(kind)]] for row, kind in zip(data.data, data.target)]
    chance = random.Random(SEED)
    write(folder, "clean.csv", header, rows)
    write(folder, "poisoned.csv", header, poisoned(rows, chance))
    write(folder, "broken.csv", header, broken(rows, chance))
    write(folder, "people.csv", ["name", "email", "card", *header], with_people(rows, chance))
    (folder / "contract.yaml").write_text(CONTRACT, encoding="utf-8")


if __name__ == "__main__":
    main()
