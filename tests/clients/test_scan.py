"""The model file scanner against CPython's own unpicklers: whatever they import, it must have reported.

Random and mutated pickles are loaded in a process of their own, in which an audit hook notes what `find_class` is asked for and
nothing can be imported. The scanner may report more, never less. Seeds are fixed.
"""

import json
import os
import pathlib
import pickle
import random
import shutil
import struct
import subprocess
import sys
import unicodedata

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SECONDS = float(os.environ.get("STRONGROOM_SCAN_FUZZ_SECONDS", "15"))
SEED = int(os.environ.get("STRONGROOM_SCAN_FUZZ_SEED", "4"))
BATCH = 400

# Loads each pickle with the C unpickler from bytes, from an object without `peek`, from a file, and with Python's own
# unpickler, and prints what each asks `find_class` for. Nothing is imported: whatever is asked for is a harmless callable.
ORACLE = r"""
import io, json, os, pathlib, pickle, posix, resource, sys

# What a pickle asks for is counted; what it would run is not run.
os.system = posix.system = lambda *words: 0
# A memo of four thousand million entries is allowed to a pickle, and would take all memory.
resource.setrlimit(resource.RLIMIT_AS, (1 << 29, 1 << 29))

class Thing:
    def __init__(self, *a, **k): pass
    def __call__(self, *a, **k): return Thing()
    def __setstate__(self, state): pass
    def __reduce__(self): return (Thing, ())
    def append(self, x): pass
    def extend(self, x): pass
    def add(self, x): pass
    def __setitem__(self, k, v): pass
    def __hash__(self): return 1

asked = []
def hook(event, arguments):
    if event == "pickle.find_class":
        asked.append([str(arguments[0]), str(arguments[1])])
sys.addaudithook(hook)

class Fast(pickle.Unpickler):
    def find_class(self, module, name):
        asked.append([module, name]); return Thing
    def persistent_load(self, identity): return Thing()

class Slow(pickle._Unpickler):
    def find_class(self, module, name):
        asked.append([module, name]); return Thing
    def persistent_load(self, identity): return Thing()

class Bare:
    def __init__(self, data): self.inner = io.BytesIO(data)
    def read(self, count=-1): return self.inner.read(count)
    def readline(self): return self.inner.readline()

sys.setrecursionlimit(400)
out = []
for path in json.load(sys.stdin):
    data = pathlib.Path(path).read_bytes()
    del asked[:]
    for kind, source in ((Fast, io.BytesIO(data)), (Fast, Bare(data)), (Fast, open(path, "rb")), (Slow, io.BytesIO(data))):
        # As `pickle.load(file)` again and again: a new unpickler each time.
        for _ in range(3):
            try:
                kind(source).load()
            except BaseException:
                break
    try:
        pickle.loads(data)
    except BaseException:
        pass
    out.append(sorted({tuple(pair) for pair in asked}))
print(json.dumps(out))
"""

NAMES = [("os", "system"), ("collections", "OrderedDict"), ("nowhere.a", "b"), ("a.b", "c.d"), ("builtins", "set"), ("x", "y")]


def scanner():
    """The program that was built, or this crate's own, built now."""
    given = os.environ.get("STRONGROOM_SCAN_BINARY")
    if given:
        return [given]
    binary = pathlib.Path(os.environ.get("STRONGROOM_BINARY", ROOT / "target" / "debug" / "strongroom")).parent / "strongroom-scan"
    if not binary.exists():
        subprocess.run(["cargo", "build", "--quiet", "--package", "scan"], cwd=ROOT, check=True)
    return [str(binary)]


def operand(source, text):
    """A text in one of the ways that pickles have."""
    raw = text.encode()
    choices = [
        b"\x8c" + bytes([len(raw)]) + raw, b"X" + struct.pack("<I", len(raw)) + raw, b"\x8d" + struct.pack("<Q", len(raw)) + raw,
        b"U" + bytes([len(raw)]) + raw, b"T" + struct.pack("<i", len(raw)) + raw, b"V" + raw + b"\n", b"S'" + raw + b"'\n",
        b"S'" + b"".join(b"\\x%02x" % byte for byte in raw) + b"'\n", b"V" + b"".join(b"\\u%04x" % byte for byte in raw) + b"\n",
    ]
    return source.choice(choices)


def piece(source):
    """An instruction or a few, often meaningful ones."""
    module, name = source.choice(NAMES)
    small = source.randrange(4)
    return source.choice([
        lambda: b"c" + module.encode() + b"\n" + name.encode() + b"\n",
        lambda: operand(source, module) + operand(source, name) + b"\x93",
        lambda: operand(source, module) + b"\x94" + operand(source, name) + b"\x94" + b"h\x00h\x01\x93",
        lambda: b"(i" + module.encode() + b"\n" + name.encode() + b"\n",
        lambda: operand(source, source.choice([module, name])), lambda: b"\x94", lambda: b"q" + bytes([small]), lambda: b"h" + bytes([small]),
        lambda: b"p%d\n" % small, lambda: b"g%d\n" % small, lambda: b"r" + struct.pack("<I", small), lambda: b"j" + struct.pack("<I", small),
        lambda: b"(", lambda: b"0", lambda: b"1", lambda: b"2", lambda: b")", lambda: b"]", lambda: b"}", lambda: b"N", lambda: b"t",
        lambda: b"\x85", lambda: b"\x86", lambda: b"R", lambda: b"\x81", lambda: b"o", lambda: b"b", lambda: b"a", lambda: b"e",
        lambda: b"s", lambda: b"u", lambda: b"\x8f", lambda: b"\x90", lambda: b"\x91", lambda: b"l", lambda: b"d", lambda: b"K" + bytes([small]),
        lambda: b"I0" + bytes([48 + small]) + b"\n", lambda: b"\x80" + bytes([source.randrange(7)]), lambda: b"Q", lambda: b"P1\n",
        lambda: b"\x95" + struct.pack("<Q", source.randrange(40)), lambda: b"\x82" + bytes([small]), lambda: b".", lambda: b"\x92",
        lambda: b"C" + bytes([small]) + b"z" * small, lambda: b"\x97", lambda: b"\x98", lambda: bytes([source.randrange(256)]),
    ])()


def invented(source):
    body = b"".join(piece(source) for _ in range(source.randrange(2, 24)))
    return source.choice([b"\x80\x04", b"\x80\x02", b"", b"\x80\x05\x95" + struct.pack("<Q", source.randrange(len(body) + 8))]) + body + b"."


class Named:
    """Pickled as something else is."""

    def __init__(self, module, name, how):
        self.module, self.name, self.how = module, name, how

    def __reduce_ex__(self, protocol):
        return self.how, (self.module, self.name)


def real(source):
    """What pickle writes of nested plain data and imports."""
    import collections
    import datetime

    def value(depth):
        kinds = [lambda: source.randrange(-2**70, 2**70), lambda: source.random(), lambda: "x" * source.randrange(300), lambda: None]
        if depth < 4:
            many = lambda: [value(depth + 1) for _ in range(source.randrange(5))]
            kinds += [many, lambda: tuple(many()), lambda: dict(enumerate(many())), lambda: collections.OrderedDict(enumerate(many())),
                      lambda: {1, 2, source.randrange(9)}, lambda: datetime.date(2026, 1, 1), lambda: bytes(source.randrange(400)),
                      lambda: bytearray(3), lambda: collections.Counter("abca"), lambda: 1 + 2j, lambda: source.choice([len, os.getcwd, int])]
        return source.choice(kinds)()

    return pickle.dumps(value(0), protocol=source.randrange(6))


def mutated(source, data):
    data = bytearray(data)
    for _ in range(source.randrange(1, 6)):
        at = source.randrange(len(data) + 1)
        act = source.randrange(5)
        if act == 0:
            data[at:at] = piece(source)
        elif act == 1 and data:
            data[at % len(data)] = source.randrange(256)
        elif act == 2:
            del data[at:at + source.randrange(1, 9)]
        elif act == 3:
            data[at:at] = data[at // 2:at // 2 + source.randrange(12)]
        else:
            data[at:at] = b"\x95" + struct.pack("<Q", source.randrange(30))
    return bytes(data)


def one(source):
    kind = source.randrange(4)
    if kind == 0:
        return invented(source)
    if kind == 1:
        return mutated(source, invented(source))
    if kind == 2:
        return mutated(source, real(source))
    return invented(source) + invented(source)


def reported(folder):
    done = subprocess.run([*scanner(), str(folder), "--json"], capture_output=True, text=True, timeout=120)
    assert done.returncode in (0, 1, 3), f"the scanner ended with {done.returncode}: {done.stderr[-2000:]}"
    return {file["path"]: file for file in json.loads(done.stdout)["files"]}


def imported(paths):
    done = subprocess.run([sys.executable, "-I", "-c", ORACLE], input=json.dumps([str(path) for path in paths]),
                          capture_output=True, text=True, errors="replace", timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def shown(text):
    """Reports escape what could mislead their reader, and cut what is long; halves of pairs of UTF-16, which no text has, are `\ufffd`."""
    hidden = {*range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x206A), 0xFEFF}
    escaped = lambda letter: "\\u{%x}" % ord(letter) if unicodedata.category(letter) == "Cc" or ord(letter) in hidden else letter
    text = "".join("\ufffd" if "\ud800" <= letter <= "\udfff" else letter for letter in text)
    return "".join(map(escaped, text[:200])) + ("…" if len(text) > 200 else "")


def compare(folder, samples):
    folder.mkdir(parents=True)
    paths = []
    for index, data in enumerate(samples):
        path = folder / f"{index:05}.pkl"
        path.write_bytes(data)
        paths.append(path)
    reports = reported(folder)
    for path, data, asked in zip(paths, samples, imported(paths)):
        report = reports[path.name]
        told = {(use["module"], use["name"]) for use in report["globals"]}
        for module, name in asked:
            assert (module, name) in told or (shown(module), shown(name)) in told, (
                f"CPython imports {module!r} {name!r}, not reported: {data!r} {json.dumps(report['findings'])[:1500]}")
        bad = [pair for pair in asked if tuple(pair) not in {("collections", "OrderedDict"), ("builtins", "set")}]
        if any(pair in (["os", "system"], ["nowhere.a", "b"]) for pair in bad):
            assert report["verdict"] == "blocked", data
    return len(samples)


def cpu_seconds():
    """What this process, the scanners and the unpicklers that it started have used."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


@pytest.mark.any_database("the scanner has none")
def test_what_cpython_imports_is_reported(tmp_path):
    source = random.Random(SEED)
    start = cpu_seconds()
    count = batch = 0
    while cpu_seconds() - start < SECONDS:
        count += compare(tmp_path / str(batch), [one(source) for _ in range(BATCH)])
        shutil.rmtree(tmp_path / str(batch))
        batch += 1
    print(f"{count} pickles in {cpu_seconds() - start:.0f} s of CPU")
    assert count >= BATCH


# Loads arrays that the scanner calls clean and lets pyarrow look at them as closely as it can.
WHOLE = r"""
import json, pathlib, pickle, sys
for path in json.load(sys.stdin):
    try:
        array = pickle.loads(pathlib.Path(path).read_bytes())
    except Exception:
        continue
    if hasattr(array, "validate"):
        array.validate(full=True)
"""


def tables():
    """Columns that pyarrow backs."""
    import pandas as pd
    import pyarrow as pa

    return [
        pd.DataFrame({"a": [1.0, 2.0, None], "w": pd.array(["x", None, "ö"], dtype="string[pyarrow]")}),
        pd.Series(range(20), dtype="int64[pyarrow]")[7:13], pd.Series([True, None] * 9, dtype="bool[pyarrow]"),
        pd.Series(pd.date_range("2026-01-01", periods=3), dtype="timestamp[ns][pyarrow]"), pa.table({"a": ["x", None], "b": [1, 2]}),
        pa.array(["x", "yy", "x", None]).dictionary_encode(), pa.array([b"a", None, b"\xff"]), pa.array(["a"] * 9, pa.large_string()), pa.nulls(3),
    ]


@pytest.mark.skipif(os.environ.get("STRONGROOM_TEST_ENGINE") == "postgres", reason="the scanner has no database")
def test_columns_of_text_pass_as_pandas_writes_them(tmp_path):
    for index, value in enumerate(tables()):
        for protocol in range(6):
            (tmp_path / f"{index}.{protocol}.pkl").write_bytes(pickle.dumps(value, protocol))
    bad = {name: [finding["message"] for finding in file["findings"]] for name, file in reported(tmp_path).items() if file["verdict"] != "clean"}
    assert not bad


@pytest.mark.skipif(os.environ.get("STRONGROOM_TEST_ENGINE") == "postgres", reason="the scanner has no database")
def test_a_clean_array_is_one_that_pyarrow_finds_whole(tmp_path):
    import pyarrow as pa

    source = random.Random(SEED)
    arrays = [pa.array(["x", None, "ö", "long"]), pa.array([1, None, 3]), pa.array(["a", "b", None]).dictionary_encode(), pa.array([True] * 9), pa.nulls(2)]
    written = [pickle.dumps(array, protocol) for array in arrays for protocol in (2, 4, 5)]
    for index in range(3_000):
        data = bytearray(source.choice(written))
        for _ in range(source.randrange(1, 4)):
            data[source.randrange(len(data))] = source.choice([0, 1, 2, 3, 0x7F, 0xFF, source.randrange(256)])
        (tmp_path / f"{index}.pkl").write_bytes(data)
    clean = [str(tmp_path / name) for name, file in reported(tmp_path).items() if file["verdict"] == "clean"]
    assert len(clean) > 20
    done = subprocess.run([sys.executable, "-c", WHOLE], input=json.dumps(clean), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.skipif(os.environ.get("STRONGROOM_TEST_ENGINE") == "postgres", reason="the scanner has no database")
def test_a_vectorizer_that_opens_files_is_not_clean(tmp_path):
    import joblib
    import skops.io
    from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer
    from sklearn.pipeline import make_pipeline

    text = tmp_path / "text.txt"
    text.write_text("some words of a text")
    (tmp_path / "models").mkdir()
    for kind in (CountVectorizer, HashingVectorizer, TfidfVectorizer):
        for how, rows in (("content", ["some words of a text"]), ("filename", [str(text)])):
            # A field of that name elsewhere is none of the vectorizer's.
            fitted = make_pipeline(kind(input=how), memory=None).fit(rows)
            fitted.named = {"filename": "filename"}
            name = f"{kind.__name__}.{how}"
            for protocol in range(6):
                (tmp_path / "models" / f"{name}.{protocol}.pkl").write_bytes(pickle.dumps(fitted, protocol))
            joblib.dump(fitted, tmp_path / "models" / f"{name}.joblib")
            skops.io.dump(fitted, tmp_path / "models" / f"{name}.skops")
    files = reported(tmp_path / "models")
    wanted = {name: "unknown" if ".filename." in name else "clean" for name in files}
    assert len(files) == 48 and {name: file["verdict"] for name, file in files.items()} == wanted
    rules = {finding["rule"] for file in files.values() for finding in file["findings"]}
    assert rules == {"sklearn.opens_files"}


@pytest.mark.skipif(os.environ.get("STRONGROOM_TEST_ENGINE") == "postgres", reason="the scanner has no database")
def test_exit_codes_and_forms(tmp_path):
    clean, bad, unknown = tmp_path / "clean.pkl", tmp_path / "bad.pkl", tmp_path / "unknown.bin"
    clean.write_bytes(pickle.dumps({"a": [1, 2.0]}))
    bad.write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    unknown.write_bytes(b"\x01\x02\x03\x04" * 10)
    run = lambda *words: subprocess.run([*scanner(), *map(str, words)], capture_output=True, text=True, timeout=60)
    assert [run(path).returncode for path in (clean, bad, unknown)] == [0, 1, 3]
    assert run(tmp_path).returncode == 1
    assert run(tmp_path / "missing").returncode == 2 and run("--strange").returncode == 2
    log = json.loads(run(bad, "--sarif").stdout)
    assert log["version"] == "2.1.0" and log["runs"][0]["results"][0]["ruleId"] == "pickle.dangerous_global"
    mine = tmp_path / "mine.txt"
    mine.write_text("nowhere.a b\n")
    own = tmp_path / "own.pkl"
    own.write_bytes(b"\x80\x04cnowhere.a\nb\n)R.")
    assert [run(own).returncode, run(own, "--allow", mine).returncode] == [1, 0]
