"""The same contracts over the same files, by datacontract-cli and by us: do the verdicts agree, and does it read what we write?

Each case is one rule over one small table, once where it holds and once where it breaks, as Parquet and as CSV. Where the two
are known to differ the case says so, and then they must differ. Prints one JSON object.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from datacontract.data_contract import DataContract

HEAD = """apiVersion: v3.1.0
kind: DataContract
id: agreement
name: agreement
version: 1.0.0
status: active
servers:
- server: local
  type: local
  path: {path}
  format: {format}
schema:
- name: t
  physicalType: table
"""

INTS = [1, 2, 3, None, 5, 5]
NUMBERS = [0.5, 1.0, None, 2.5, 3.0, 3.0]
TEXTS = ["ab", "cde", None, "f", "ab", "NO"]

# name, column, property (one line of YAML) or table rule, whether it holds
CASES = [
    ("required breaks", INTS, "required: true", False),
    ("required holds", [1, 2], "required: true", True),
    ("unique breaks", INTS, "unique: true", False),
    ("unique holds with nulls", [1, None, None, 2], "unique: true", True),
    ("primary key breaks on null", [1, None], "primaryKey: true", False),
    ("primary key holds", [1, 2], "primaryKey: true", True),
    ("minimum at the edge", INTS, "logicalType: integer, logicalTypeOptions: {minimum: 1}", True),
    ("minimum breaks", INTS, "logicalType: integer, logicalTypeOptions: {minimum: 2}", False),
    ("maximum at the edge", NUMBERS, "logicalType: number, logicalTypeOptions: {maximum: 3}", True),
    ("maximum breaks", NUMBERS, "logicalType: number, logicalTypeOptions: {maximum: 2.9}", False),
    ("exclusive minimum at the edge", INTS, "logicalType: integer, logicalTypeOptions: {exclusiveMinimum: 1}", False),
    ("exclusive minimum holds", INTS, "logicalType: integer, logicalTypeOptions: {exclusiveMinimum: 0}", True),
    ("exclusive maximum at the edge", NUMBERS, "logicalType: number, logicalTypeOptions: {exclusiveMaximum: 3}", False),
    ("exclusive maximum holds", NUMBERS, "logicalType: number, logicalTypeOptions: {exclusiveMaximum: 3.5}", True),
    ("least length holds", TEXTS, "logicalType: string, logicalTypeOptions: {minLength: 1}", True),
    ("least length breaks", TEXTS, "logicalType: string, logicalTypeOptions: {minLength: 2}", False),
    ("greatest length holds", TEXTS, "logicalType: string, logicalTypeOptions: {maxLength: 3}", True),
    ("greatest length breaks", TEXTS, "logicalType: string, logicalTypeOptions: {maxLength: 2}", False),
    ("length in characters", ["éé"], "logicalType: string, logicalTypeOptions: {maxLength: 2}", True),
    ("pattern occurs", TEXTS, "logicalType: string, logicalTypeOptions: {pattern: '[a-zN]'}", True),
    ("pattern anchored breaks", TEXTS, "logicalType: string, logicalTypeOptions: {pattern: '^[a-z]+$'}", False),
    ("pattern of digits", ["a1", "b22"], "logicalType: string, logicalTypeOptions: {pattern: '^\\w\\d+$'}", True),
    ("pattern of foreign digits", ["a٣"], "logicalType: string, logicalTypeOptions: {pattern: '\\d'}", False),
    ("nulls allowed", INTS, "quality: [{metric: nullValues, mustBeLessThan: 2}]", True),
    ("nulls not allowed", INTS, "quality: [{metric: nullValues, mustBe: 0}]", False),
    ("nulls in percent holds", INTS, "quality: [{metric: nullValues, unit: percent, mustBeLessThan: 17}]", True),
    ("nulls in percent breaks", INTS, "quality: [{metric: nullValues, unit: percent, mustBeLessThan: 16}]", False),
    ("nulls in percent at the edge", [1, None, 3, 4], "quality: [{metric: nullValues, unit: percent, mustBe: 25}]", True),
    ("missing values break", TEXTS, "quality: [{metric: missingValues, mustBe: 1, arguments: {missingValues: ['NO', 'f']}}]", False),
    ("missing values hold", TEXTS, "quality: [{metric: missingValues, mustBe: 3, arguments: {missingValues: [null, 'NO', 'f']}}]", True),
    ("valid values hold", TEXTS, "quality: [{metric: invalidValues, mustBe: 0, arguments: {validValues: [ab, cde, f, 'NO']}}]", True),
    ("valid values break", TEXTS, "quality: [{metric: invalidValues, mustBe: 0, arguments: {validValues: [ab, cde, f]}}]", False),
    ("valid values of numbers", INTS, "quality: [{metric: invalidValues, mustBe: 2, arguments: {validValues: [1, 2, 3]}}]", True),
    ("valid pattern breaks", TEXTS, "quality: [{metric: invalidValues, mustBe: 0, arguments: {pattern: '^[a-z]+$'}}]", False),
    ("values and pattern", TEXTS, "quality: [{metric: invalidValues, mustBe: 2, arguments: {validValues: [ab, cde, 'NO'], pattern: '^[a-z]+$'}}]", True),
    ("invalid in percent", TEXTS, "quality: [{metric: invalidValues, unit: percent, mustBeLessThan: 20, arguments: {validValues: [ab, cde, f]}}]", True),
    ("duplicates counted as keys", [1, 1, 1, 2, 2, 3], "quality: [{metric: duplicateValues, mustBe: 2}]", True),
    ("duplicates break", INTS, "quality: [{metric: duplicateValues, mustBe: 0}]", False),
    ("between includes its ends", INTS, "quality: [{metric: nullValues, mustBeBetween: [1, 3]}]", True),
    ("between breaks", INTS, "quality: [{metric: nullValues, mustBeBetween: [2, 3]}]", False),
    ("not between breaks at its ends", INTS, "quality: [{metric: nullValues, mustNotBeBetween: [1, 3]}]", False),
    ("not between holds", INTS, "quality: [{metric: nullValues, mustNotBeBetween: [2, 3]}]", True),
    ("must not be", INTS, "quality: [{metric: nullValues, mustNotBe: 1}]", False),
    ("at least", INTS, "quality: [{metric: nullValues, mustBeGreaterOrEqualTo: 1}]", True),
    ("more than", INTS, "quality: [{metric: nullValues, mustBeGreaterThan: 1}]", False),
    ("at most", INTS, "quality: [{metric: nullValues, mustBeLessOrEqualTo: 1}]", True),
    ("a warning does not refuse", INTS, "quality: [{metric: nullValues, mustBe: 0, severity: warning}]", True),
    ("row count holds", INTS, "T: {metric: rowCount, mustBe: 6}", True),
    ("row count breaks", INTS, "T: {metric: rowCount, mustBeGreaterThan: 6}", False),
    ("compound keys break", INTS, "T: {metric: duplicateValues, mustBe: 0, arguments: {properties: [a, b]}}", False),
    ("compound keys hold", INTS, "T: {metric: duplicateValues, mustBe: 0, arguments: {properties: [a, c]}}", True),
    ("a column is missing", INTS, "M", False),
]


def table(values):
    return pa.table({"a": values, "b": ["x"] * len(values), "c": list(range(len(values)))})


def contract(path, kind, rule):
    quality = f"  quality: [{rule[3:]}]\n" if rule.startswith("T: ") else ""
    own = "" if rule.startswith(("T: ", "M")) else f", {rule}"
    missing = "  - {name: absent}\n" if rule == "M" else ""
    typed = "" if "logicalType:" in own else guessed(path)
    columns = f"  properties:\n  - {{name: a{typed}{own}}}\n  - {{name: b, logicalType: string}}\n  - {{name: c, logicalType: integer}}\n{missing}"
    return HEAD.format(path=path, format=kind) + quality + columns


def guessed(path):
    """The tool reads CSV with the contract's types, so that columns without one are texts to it."""
    return f", logicalType: {pathlib.Path(path).name.split('-')[1]}"


def kind_of(values):
    present = [value for value in values if value is not None]
    if all(isinstance(value, int) for value in present):
        return "integer"
    return "number" if all(isinstance(value, float) for value in present) else "string"


def said(check):
    """What a check ended with. One that never ran, because the run ended before it, has no result: that is an error."""
    return "error" if check.result is None else str(check.result.value)


def theirs(text):
    run = DataContract(data_contract_str=text, server="local").test()
    failed = [f"{check.type}: {check.reason}" for check in run.checks or [] if said(check) in ("failed", "error")]
    return str(run.result.value) in ("passed", "warning"), failed


def ours(program, path, text, folder):
    file = folder / "contract.yaml"
    file.write_text(text)
    done = subprocess.run([program, "check", file, path, "t"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return None, [done.stderr.strip()]
    report = json.loads(done.stdout)["report"]
    broken = [f"{rule['rule']}: {rule['message']}" for rule in report["rules"] if rule["status"] in ("failed", "not-run")]
    return report["verdict"] == "passed", broken


def lints(text):
    run = DataContract(data_contract_str=text).lint()
    return str(run.result.value) == "passed", [check.reason for check in run.checks or [] if said(check) != "passed"]


SUITE = {
    "name": "suite",
    "expectations": [
        {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "c"}},
        {"type": "expect_column_values_to_be_between", "kwargs": {"column": "a", "min_value": 0, "max_value": 9, "mostly": 0.9}},
        {"type": "expect_column_values_to_be_in_set", "kwargs": {"column": "b", "value_set": ["x", "NO"]}},
        {"type": "expect_column_kl_divergence_to_be_less_than", "kwargs": {"column": "a", "threshold": 0.1}},
        {"type": "expect_table_row_count_to_be_between", "kwargs": {"min_value": 1, "max_value": 10}},
    ],
}
SCHEMA = {
    "type": "object",
    "required": ["id"],
    "properties": {"id": {"type": "integer", "minimum": 1}, "mail": {"type": "string", "format": "email"}, "tags": {"type": "array", "items": {"type": "string"}}},
}


def written(program, folder, parquet, contracts):
    """Everything that we write must pass the tool's own lint."""
    outputs = []
    for index, text in enumerate(contracts):
        file = folder / f"read{index}.yaml"
        file.write_text(text)
        outputs.append(("written", [program, "write", file]))
    (folder / "suite.json").write_text(json.dumps(SUITE))
    (folder / "schema.json").write_text(json.dumps(SCHEMA))
    outputs.append(("proposed", [program, "propose", parquet, "t"]))
    outputs.append(("imported suite", [program, "import", "great-expectations", folder / "suite.json", "t"]))
    outputs.append(("imported schema", [program, "import", "json-schema", folder / "schema.json", "t"]))
    faults = []
    for name, command in outputs:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        good, reasons = lints(done.stdout) if done.returncode == 0 else (False, [done.stderr])
        if not good:
            faults.append({"case": name, "reasons": reasons, "text": done.stdout[:2000]})
    return len(outputs), faults


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--program", required=True)
    program = arguments.parse_args().program
    compared, faults, contracts = 0, [], []
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for index, (case, values, rule, holds) in enumerate(CASES):
            for kind in ("parquet", "csv"):
                path = folder / f"{index}-{kind_of(values)}-.{kind}"
                made = table(values)
                pa.parquet.write_table(made, path) if kind == "parquet" else pa.csv.write_csv(made, path)
                text = contract(path, kind, rule)
                their_word, their_reasons = theirs(text)
                our_word, our_reasons = ours(program, path, text, folder)
                compared += 1
                if not their_word == our_word == holds:
                    faults.append({"case": f"{case} ({kind})", "holds": holds, "theirs": their_word, "their_reasons": their_reasons, "ours": our_word, "our_reasons": our_reasons})
            contracts.append(text)
        sample = folder / "sample.parquet"
        pa.parquet.write_table(table(list(range(200))), sample)
        lint_count, lint_faults = written(program, folder, sample, contracts)
    print(json.dumps({"compared": compared, "disagreements": faults, "linted": lint_count, "lint_faults": lint_faults}))


if __name__ == "__main__":
    sys.exit(main())
