"""Programs of Debian's packages without installing them: fetched and unpacked into the project's folder, once."""

from __future__ import annotations

import pathlib
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


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
