#!/usr/bin/env python3
"""Verifies a Strongroom audit log without any code of Strongroom: from its folder, or from its HTTP surface.

It needs Python 3.9 and the package `cryptography`, and follows the public texts only: RFC 6962 (the tree), and c2sp.org's
signed-note, tlog-checkpoint, tlog-tiles, tlog-cosignature and tlog-proof.

    independent_verifier.py --key VKEY --dir DATA/audit
    independent_verifier.py --key VKEY --url https://host:port/api/strongroom/v1/audit/log --ca DATA/tls/ca.pem
                                                                              (token: $STRONGROOM_TOKEN)
    independent_verifier.py --key VKEY --proof receipt.tlog-proof --record record.json

It exits with 0 if all holds, 1 if something does not, 2 if it could not look.
"""
import argparse
import base64
import hashlib
import json
import os
import pathlib
import ssl
import sys
import urllib.error
import urllib.request

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

WIDTH = 256


class Bad(Exception):
    """Something does not hold."""


def leaf_hash(entry):
    return hashlib.sha256(b"\0" + entry).digest()


def node_hash(left, right):
    return hashlib.sha256(b"\1" + left + right).digest()


def tree_root(hashes):
    """RFC 6962, section 2.1, over hashes that are leaves or roots of equally high full subtrees."""
    if not hashes:
        return hashlib.sha256(b"").digest()
    while len(hashes) > 1:
        paired = [node_hash(hashes[i], hashes[i + 1]) for i in range(0, len(hashes) - 1, 2)]
        # An odd one out is carried up as it is: that gives the recursive definition's tree.
        hashes = paired + ([hashes[-1]] if len(hashes) % 2 else [])
    return hashes[0]


class Key:
    """A signed-note verifier key: name+hash+base64(type, key)."""

    def __init__(self, text):
        self.name, key_id, key = text.strip().split("+", 2)
        raw = base64.b64decode(key, validate=True)
        self.kind, public = raw[0], raw[1:]
        if hashlib.sha256(self.name.encode() + b"\n" + raw).digest()[:4] != bytes.fromhex(key_id):
            raise Bad(f"the key `{text}` does not fit its own hash")
        self.key_id, self.public = bytes.fromhex(key_id), Ed25519PublicKey.from_public_bytes(public)


def open_note(note, key):
    """The text of a note that `key` signed."""
    text, _, lines = note.rpartition("\n\n")
    text += "\n"
    for line in lines.rstrip("\n").split("\n"):
        mark, _, rest = line.partition(" ")
        name, _, blob = rest.partition(" ")
        if mark != "\u2014":
            raise Bad("a signature line does not begin with an em dash")
        raw = base64.b64decode(blob, validate=True)
        # The last letter has bits that mean nothing; they too must be as they were written.
        if base64.b64encode(raw).decode() != blob:
            raise Bad("a signature is not in the one way to write it")
        if name == key.name and raw[:4] == key.key_id:
            try:
                key.public.verify(raw[4:], text.encode())
            except InvalidSignature:
                raise Bad("the checkpoint's signature does not hold") from None
            return text
    raise Bad("the checkpoint is not signed by the given key")


def parse_checkpoint(note, key):
    origin, size, root, rest = open_note(note, key).split("\n", 3)
    if origin != key.name or rest:
        raise Bad("the note is not a checkpoint of this log")
    return int(size), base64.b64decode(root, validate=True)


def tile_name(index):
    groups = [f"{index % 1000:03d}"]
    while index >= 1000:
        index //= 1000
        groups.insert(0, f"x{index % 1000:03d}")
    return "/".join(groups)


class Folder:
    def __init__(self, path):
        self.path = pathlib.Path(path)
        if (self.path / "log").is_dir():
            self.path /= "log"

    def get(self, name):
        try:
            return (self.path / name).read_bytes()
        except FileNotFoundError:
            return None


class Http:
    def __init__(self, url, ca):
        self.url, self.context = url.rstrip("/"), ssl.create_default_context(cafile=ca)

    def get(self, name):
        request = urllib.request.Request(f"{self.url}/{name}")
        if os.environ.get("STRONGROOM_TOKEN"):
            request.add_header("Authorization", "Bearer " + os.environ["STRONGROOM_TOKEN"])
        try:
            with urllib.request.urlopen(request, context=self.context, timeout=30) as answer:
                return answer.read()
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            raise


def fetch(source, level, index, size):
    """A tile or bundle as the tree of `size` fills it; a partial one may be cut from the full one."""
    count = size >> (8 * (0 if level == "entries" else level))
    width = min(WIDTH, count - index * WIDTH)
    base = f"tile/{level}/{tile_name(index)}"
    data = source.get(base if width == WIDTH else f"{base}.p/{width}")
    exact = data is not None
    if not exact and width < WIDTH:
        data = source.get(base)
    if data is None:
        raise Bad(f"`{base}` is missing")
    return data, width, exact, base


def entries_of(data, width, exact, name):
    entries, at = [], 0
    for _ in range(width):
        length = int.from_bytes(data[at:at + 2], "big")
        entry = data[at + 2:at + 2 + length]
        if len(entry) != length or at + 2 > len(data):
            raise Bad(f"`{name}` is cut short")
        entries.append(entry)
        at += 2 + length
    if exact and at != len(data):
        raise Bad(f"`{name}` has bytes after its last entry")
    return entries


def hashes_of(data, width, exact, name):
    if len(data) < 32 * width or (exact and len(data) != 32 * width):
        raise Bad(f"`{name}` has not the size of a tile")
    return [data[at:at + 32] for at in range(0, 32 * width, 32)]


def verify_log(source, key):
    faults = []
    note = source.get("checkpoint")
    if note is None:
        raise Bad("there is no checkpoint")
    size, root = parse_checkpoint(note.decode(), key)
    level, hashes = 0, []
    for index in range((size + WIDTH - 1) // WIDTH):
        try:
            entries = entries_of(*fetch(source, "entries", index, size))
        except Bad as bad:
            faults.append({"index": index * WIDTH, "what": str(bad)})
            entries = []
        leaves = [leaf_hash(entry) for entry in entries]
        for at, entry in enumerate(entries):
            try:
                json.loads(entry)
            except ValueError:
                faults.append({"index": index * WIDTH + at, "what": "the record is not JSON"})
        hashes.extend(leaves)
        if len(leaves) < min(WIDTH, size - index * WIDTH):
            hashes.extend([bytes(32)] * (min(WIDTH, size - index * WIDTH) - len(leaves)))
    # Every stored tile must hold exactly the hashes of what lies below it.
    while hashes:
        above = []
        for index in range((len(hashes) + WIDTH - 1) // WIDTH):
            computed = hashes[index * WIDTH:(index + 1) * WIDTH]
            try:
                stored = hashes_of(*fetch(source, level, index, size))
                for at, (one, other) in enumerate(zip(computed, stored)):
                    if one != other:
                        first = (index * WIDTH + at) << (8 * level)
                        faults.append({"index": first, "what": f"level {level} hash {index * WIDTH + at} differs from what lies below it"})
            except Bad as bad:
                faults.append({"index": (index * WIDTH) << (8 * level), "what": str(bad)})
            if len(computed) == WIDTH:
                above.append(tree_root(computed))
        if level == 0:
            found = hashes
        hashes, level = above, level + 1
    if tree_root(found if size else []) != root:
        faults.append({"index": None, "what": "the tree's root is not the signed one"})
    return {"ok": not faults, "origin": key.name, "size": size, "root": root.hex(), "faults": faults[:20], "fault_count": len(faults)}


def verify_proof(proof, record, key):
    head, _, note = proof.partition("\n\n")
    lines = head.split("\n")
    if lines.pop(0) != "c2sp.org/tlog-proof@v1":
        raise Bad("this is not a tlog-proof")
    if lines[0].startswith("extra "):
        lines.pop(0)
    index = int(lines.pop(0).removeprefix("index "))
    path = [base64.b64decode(line, validate=True) for line in lines]
    size, root = parse_checkpoint(note, key)
    # RFC 9162, section 2.1.3.2.
    at, last, value = index, size - 1, leaf_hash(record)
    for sibling in path:
        if last == 0:
            raise Bad("the proof is too long")
        if at % 2 or at == last:
            value = node_hash(sibling, value)
            while at % 2 == 0 and at:
                at, last = at >> 1, last >> 1
        else:
            value = node_hash(value, sibling)
        at, last = at >> 1, last >> 1
    if index >= size or last or value != root:
        raise Bad(f"the proof does not show this record at index {index}")
    return {"ok": True, "origin": key.name, "index": index, "size": size}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--key", required=True, help="the log's verifier key, or a file that holds it")
    parser.add_argument("--dir")
    parser.add_argument("--url")
    parser.add_argument("--ca")
    parser.add_argument("--proof")
    parser.add_argument("--record")
    args = parser.parse_args()
    try:
        key = Key(pathlib.Path(args.key).read_text() if os.path.exists(args.key) else args.key)
        if args.proof:
            report = verify_proof(pathlib.Path(args.proof).read_bytes().decode(), pathlib.Path(args.record).read_bytes(), key)
        else:
            report = verify_log(Folder(args.dir) if args.dir else Http(args.url, args.ca), key)
    except (Bad, ValueError) as bad:
        report = {"ok": False, "faults": [{"index": None, "what": str(bad)}], "fault_count": 1}
    except OSError as error:
        print(json.dumps({"ok": False, "error": str(error)}))
        return 2
    print(json.dumps(report))
    return 0 if report["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
