"""What a data set version is exported with, read by mlcroissant, which needs the environment of `attest-requirements.txt`."""

from __future__ import annotations

import io
import tarfile
import warnings

import pytest

import people
import test_data as data

mlcroissant = pytest.importorskip("mlcroissant", reason="runs in the environment of attest-requirements.txt")

pytestmark = [pytest.mark.strongroom_only, pytest.mark.any_database("another program reads what is exported")]
ROWS = "age,kids,score,city,left,since\n" + "".join(
    f'{20 + n % 50},{"" if n % 9 == 4 else n % 3},{n}.25,"Zürich, {n}",{["true", "false"][n % 2]},2026-0{1 + n % 9}-11\n' for n in range(60)
)


def exported(server, files: dict[str, bytes], folder, **wish):
    """The folder that a version's archive is unpacked in, and the name of the data set."""
    name, person = data.fresh("told"), people.person(server, "contributor")
    session = person.session()
    data.commit(session, server, name, files, licence="CC0-1.0", owner="Example Ltd", purpose="churn of customers", **wish)
    data.wait(session, server, name, 1)
    waived = people.person(server, "reviewer").session()
    if data.api(session, server, "GET", f"/{name}/versions/1")["state"] != "admitted":
        data.waive(waived, server, name, 1)
    archive = session.get(f"{server.url}{people.ADMIN}{data.PREFIX}/{name}/versions/1/export")
    assert archive.status_code == 200, archive.text
    with tarfile.open(fileobj=io.BytesIO(archive.content)) as packed:
        packed.extractall(folder, filter="data")
    return folder, name


def loaded(folder):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = mlcroissant.Dataset(jsonld=folder / "croissant.json")
    assert not dataset.metadata.ctx.issues.errors, dataset.metadata.ctx.issues.report()
    return dataset


def test_a_table_is_loaded_with_its_types(server, tmp_path):
    folder, name = exported(server, {"people.csv": ROWS.encode()}, tmp_path)
    dataset = loaded(folder)
    said = dataset.metadata
    assert (said.name, said.version, said.license) == (name, "1.0.0", ["CC0-1.0"]), said
    assert [creator.name for creator in said.creators] == ["Example Ltd"]
    records = list(dataset.records("people"))
    assert len(records) == 60
    first = records[0]
    assert first["people/age"] == 20 and isinstance(first["people/age"], int)
    assert first["people/score"] == 0.25 and first["people/city"].decode() == "Zürich, 0"
    assert [bool(record["people/left"]) for record in records[:2]] == [True, False]
    assert records[3]["people/since"].month == 4
    kids = [record["people/kids"] for record in records]
    assert kids[:4] == [0, 1, 2, 0] and kids[4] is None, kids[:5]


def test_what_was_changed_after_it_was_exported_is_noticed(server, tmp_path):
    folder, _ = exported(server, {"people.csv": ROWS.encode()}, tmp_path)
    (folder / "data" / "people.csv").write_text(ROWS.replace("Zürich", "Bern"))
    with pytest.raises(Exception) as caught:
        list(loaded(folder).records("people"))
    assert "hash" in repr(caught.value.__cause__).lower(), repr(caught.value.__cause__)


def test_files_of_one_kind_are_one_table(server, tmp_path):
    rows = ROWS.splitlines(keepends=True)
    parts = {f"part{n}/rows.csv": "".join([rows[0], *rows[1 + 20 * n : 21 + 20 * n]]).encode() for n in range(3)}
    folder, _ = exported(server, parts, tmp_path)
    dataset = loaded(folder)
    [table] = [one.id for one in dataset.metadata.record_sets]
    scores = sorted(record[f"{table}/score"] for record in dataset.records(table))
    assert scores == [n + 0.25 for n in range(60)]
