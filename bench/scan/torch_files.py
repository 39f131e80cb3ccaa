"""torch's files without torch, whose package would be two gigabytes: the pickles that `torch.save` writes, by classes of the
same names, in the same zip. Where torch is installed, its own files are written too.
"""

import collections
import io
import json
import pickle
import struct
import sys
import types
import zipfile
import zlib

MAGIC = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001


class Storage:
    def __init__(self, key, count, raw):
        self.key, self.count, self.raw = key, count, raw


class Tensor:
    def __init__(self, storage, shape):
        self.storage, self.shape = storage, shape


def named(module, name, value=None):
    """A global of torch's name. The modules exist only while the files are written."""
    made = value or type(name, (), {})
    made.__module__, made.__qualname__, made.__name__ = module, name, name
    holder = sys.modules.setdefault(module, types.ModuleType(module))
    setattr(holder, name, made)
    return made


def names():
    def rebuild(*arguments):
        raise NotImplementedError

    def load(*arguments):
        raise NotImplementedError

    for module in ("torch", "torch._utils", "torch.storage", "torch.nn", "torch.nn.modules", "torch.nn.modules.linear"):
        sys.modules.setdefault(module, types.ModuleType(module))
    return (
        named("torch", "FloatStorage"), named("torch._utils", "_rebuild_tensor_v2", rebuild),
        named("torch.storage", "_load_from_bytes", load),
    )


def forget():
    for module in [name for name in sys.modules if name == "torch" or name.startswith("torch.")]:
        del sys.modules[module]


class Pickler(pickle._Pickler):
    """torch's pickler: tensors by `_rebuild_tensor_v2`, storages by persistent ids, or as whole files in plain pickles."""

    def __init__(self, file, protocol, types_of_torch, legacy=None):
        super().__init__(file, protocol=protocol)
        self.types_of_torch, self.legacy, self.storages = types_of_torch, legacy, {}

    def persistent_id(self, value):
        if isinstance(value, Storage) and self.legacy != "plain":
            self.storages[value.key] = value
            identity = ("storage", self.types_of_torch[0], value.key, "cpu", value.count)
            return identity + (None,) if self.legacy else identity
        return None

    def reducer_override(self, value):
        return NotImplemented

    def save(self, value, save_persistent_id=True):
        if isinstance(value, Tensor):
            stride = []
            step = 1
            for length in reversed(value.shape):
                stride.insert(0, step)
                step *= length
            arguments = (value.storage, 0, tuple(value.shape), tuple(stride), False, collections.OrderedDict())
            return self.save_reduce(self.types_of_torch[1], arguments, obj=value)
        if isinstance(value, Storage) and self.legacy == "plain":
            return self.save_reduce(self.types_of_torch[2], (legacy(value, 2, self.types_of_torch),), obj=value)
        return super().save(value, save_persistent_id)


def state(count=3, items=6):
    made = collections.OrderedDict()
    for index in range(count):
        raw = struct.pack(f"<{items}f", *[index + 0.5] * items)
        made[f"layer{index}.weight"] = Tensor(Storage(str(index), items, raw), [2, items // 2])
    return made


def pickled(value, protocol, types_of_torch, legacy=None):
    out = io.BytesIO()
    pickler = Pickler(out, protocol, types_of_torch, legacy)
    pickler.dump(value)
    return out.getvalue(), pickler.storages


def legacy(value, protocol, types_of_torch):
    """As `torch.save` before 1.6, and as storages in plain pickles."""
    body, storages = pickled(value, protocol, types_of_torch, "legacy")
    system = {"protocol_version": PROTOCOL, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
    parts = [pickle.dumps(part, protocol) for part in (MAGIC, PROTOCOL, system)] + [body, pickle.dumps(sorted(storages), protocol)]
    for key in sorted(storages):
        parts += [struct.pack("<q", storages[key].count), storages[key].raw]
    return b"".join(parts)


def archive(path, value, protocol, types_of_torch, name="archive"):
    """As `torch.save` since 1.6: stored members, each tensor's bytes on a border of 64."""
    body, storages = pickled(value, protocol, types_of_torch)
    with open(path, "wb") as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as zipped:
        members = [("data.pkl", body), ("byteorder", b"little")]
        members += [(f"data/{key}", storage.raw) for key, storage in storages.items()]
        for member, content in members + [("version", b"3\n"), (".data/serialization_id", b"0" * 40)]:
            info = zipfile.ZipInfo(f"{name}/{member}")
            start = file.tell() + 30 + len(info.filename) + 4
            info.extra = b"FB" + struct.pack("<H", -start % 64) + b"Z" * (-start % 64)
            zipped.writestr(info, content)


def large(path, storages=100, bytes_each=10_500_000):
    """A torch archive of about a gigabyte."""
    types_of_torch = names()
    made = collections.OrderedDict()
    raw = bytes(bytes_each)
    for index in range(storages):
        made[f"layer{index}.weight"] = Tensor(Storage(str(index), bytes_each // 4, raw), [bytes_each // 4])
    archive(path, made, 2, types_of_torch)
    forget()


def keras(path, config):
    with zipfile.ZipFile(path, "w") as zipped:
        zipped.writestr("metadata.json", json.dumps({"keras_version": "3.12.0", "date_saved": "2026-01-01@00:00:00"}))
        zipped.writestr("config.json", json.dumps(config))


def benign(folder):
    """State dicts in all protocols and containers."""
    try:
        import torch
    except ImportError:
        torch = None
    count = 0
    if torch is not None:
        model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.ReLU(), torch.nn.BatchNorm1d(3), torch.nn.LSTM(3, 2))
        values = {"state": model.state_dict(), "whole": model, "optimizer": {"o": torch.optim.Adam(model.parameters()).state_dict()}}
        for name, value in values.items():
            for protocol in range(2, 6):
                torch.save(value, folder / f"torch-{name}.p{protocol}.pt", pickle_protocol=protocol)
                torch.save(value, folder / f"torch-{name}.p{protocol}.pth", pickle_protocol=protocol, _use_new_zipfile_serialization=False)
                count += 2
            for protocol in range(6):
                (folder / f"torch-{name}.p{protocol}.pkl").write_bytes(pickle.dumps(value, protocol=protocol))
                count += 1
        return count
    types_of_torch = names()
    for protocol in range(6):
        # Protocol 0 writes persistent ids as texts, which torch does not read.
        if protocol > 0:
            archive(folder / f"torch-made.p{protocol}.pt", state(), protocol, types_of_torch)
            (folder / f"torch-made.p{protocol}.pth").write_bytes(legacy(state(), protocol, types_of_torch))
        body, _ = pickled(state(), protocol, types_of_torch, "plain")
        (folder / f"torch-made.p{protocol}.pkl").write_bytes(body)
        count += 3
    forget()
    return count
