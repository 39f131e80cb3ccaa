"""Programs of Debian's packages without installing them: fetched and unpacked into the project's folder, once."""

from __future__ import annotations

import pathlib
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


# What a program of Debian's looks for below /usr/share, it finds: in a view of its own of the file system.
WITHIN = ["unshare", "-rm", "sh", "-c", 'mount --bind "$0" /usr/share && exec "$@"']


def with_shared_files(program: pathlib.Path) -> list[str]:
    """The words that start a program which needs its package's files below /usr/share."""
    share = ROOT / ".work" / "debian" / "usr" / "share"
    tried = subprocess.run([*WITHIN, str(share), "true"], capture_output=True, text=True, timeout=60, check=False)
    if tried.returncode != 0:
        pytest.skip(f"needs a mount namespace of its own: {tried.stderr[-300:]}")
    return [*WITHIN, str(share), str(program)]


def programs(packages: list[str]) -> dict[str, pathlib.Path]:
    """The programs of these packages, by name."""
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        pytest.skip("needs Debian's apt-get and dpkg-deb")
    folder = ROOT / ".work" / "debian"
    for package in packages:
        done = folder / f"{package}.unpacked"
        if done.exists():
            continue
        folder.mkdir(parents=True, exist_ok=True)
        fetched = subprocess.run(["apt-get", "download", package], cwd=folder, capture_output=True, text=True, timeout=600)
        if fetched.returncode != 0:
            pytest.skip(f"the package `{package}` cannot be fetched: {fetched.stderr[-300:]}")
        file = next(iter(folder.glob(f"{package}_*.deb")))
        subprocess.run(["dpkg-deb", "-x", str(file), str(folder)], check=True, timeout=300)
        file.unlink()
        done.touch()
    return {path.name: path for path in (folder / "usr" / "bin").iterdir()}
