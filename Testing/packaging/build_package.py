"""Builds, from a checkout, the archive that Slicer's Extensions Manager installs with "Install from file".

    python -m Testing.packaging.build_package                                      # `make package`
    python -m Testing.packaging.build_package --slicer 5.10 --os win
    python -m Testing.packaging.build_package --os macosx --slicer-revision REVISION

Python and CMake are enough: the extension is configured and installed by its own CMake files against the stand-in of
Slicer's configuration that the tests use too, nothing is compiled, and the archive has the name and the inner layout of
one that Slicer's build machines make. The manager takes the extension's name from the description (.s4ext) inside, and
looks for modules below lib/Slicer-X.Y: an archive fits one X.Y. On macOS it looks for all of that below
Slicer.app/Contents/Extensions-REVISION/NAME, so there the revision must be given (``slicer.app.revision`` in Slicer's
Python console); elsewhere it only stands in the file's name, and X.Y stands there where it is not given.
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from Testing.packaging.cmake_lists import ROOT, differences

NAME = "LungNoduleSeg"
STAND_IN = Path(__file__).resolve().parent / "stub"
SYSTEMS = {"linux": ".tar.gz", "macosx": ".tar.gz", "win": ".zip"}  # Slicer's names, and what its build machines pack
ARCHITECTURES = ("amd64", "arm64")
# What the package is made of: a change in any of it makes the package another than the commit's.
SOURCES = ("CMakeLists.txt", "LICENSE", "NOTICE", NAME, f"{NAME}Lib", "Resources/Weights", "Testing/packaging")
_EARLIEST = datetime(1980, 1, 1, tzinfo=timezone.utc)  # zip archives know no earlier time


class PackageError(Exception):
    """Why no package could be made, and what to do."""


@dataclass(frozen=True)
class Target:
    """The Slicer that a package is for.

    version - "X.Y".
    system - "linux", "win" or "macosx".
    architecture - "amd64" or "arm64"; the content is the same for both.
    revision - Slicer's revision; "" where it is not known.
    """

    version: str = "5.12"
    system: str = "linux"
    architecture: str = "amd64"
    revision: str = ""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"\d+\.\d+", self.version):
            raise PackageError(f"Slicer's version is written as X.Y, such as 5.12: not {self.version!r}.")
        if self.system not in SYSTEMS or self.architecture not in ARCHITECTURES:
            raise PackageError(f"There is no Slicer for {self.system} on {self.architecture}.")
        if self.revision and not re.fullmatch(r"[\w.]+", self.revision):
            raise PackageError(f"Slicer's revision is a word, such as 12345: not {self.revision!r}.")
        if self.system == "macosx" and not self.revision:
            raise PackageError(
                "A package for macOS holds Slicer's revision in its paths. Give --slicer-revision "
                "(slicer.app.revision in Slicer's Python console)."
            )


@dataclass(frozen=True)
class Source:
    """Where the files come from: kind "git" with a commit, or "local"; `time` is the files' time in the archive."""

    kind: str
    revision: str
    time: datetime


def this_system() -> str:
    return {"Windows": "win", "Darwin": "macosx"}.get(platform.system(), "linux")


def find_cmake() -> str:
    """CMake of this Python's environment, of the checkout's .venv, or of the search path."""
    scripts = [sysconfig.get_path("scripts"), str(ROOT / ".venv" / "bin"), str(ROOT / ".venv" / "Scripts"), None]
    for folder in scripts:
        if found := shutil.which("cmake", path=folder):
            return found
    raise PackageError("CMake is not installed: `pip install cmake`, or take your system's package.")


def describe_source(root: Path = ROOT) -> Source:
    """The commit of a checkout, marked where the files are not the commit's; without git, the newest file's time."""

    def git(*words: str) -> str:
        done = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, timeout=60, check=True)
        return done.stdout.strip()

    try:
        if Path(git("rev-parse", "--show-toplevel")).resolve() != root.resolve():
            raise ValueError("the folder lies in a checkout of something else")
        revision, stamp = git("log", "-1", "--abbrev=7", "--format=%h %ct").split()
        changed = git("status", "--porcelain", "--", *SOURCES)
    except (OSError, ValueError, subprocess.SubprocessError):
        newest = max(path.stat().st_mtime for name in SOURCES for path in _files(root / name))
        return Source("local", "", datetime.fromtimestamp(newest, timezone.utc))
    return Source("git", revision + ("-dirty" if changed else ""), datetime.fromtimestamp(int(stamp), timezone.utc))


def _files(path: Path) -> list[Path]:
    return [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]


def package_name(target: Target, source: Source) -> str:
    """The archive's name without suffix, as Slicer's build machines name theirs."""
    words = (target.revision or target.version, target.system, target.architecture, NAME)
    return "-".join([*words, f"{source.kind}{source.revision}", f"{source.time:%Y-%m-%d}"])


def install(target: Target, source: Source, prefix: Path, cmake: str) -> None:
    """The extension's files below `prefix`, as its own CMake files install them."""
    address = json.loads((ROOT / f"{NAME}.json").read_text(encoding="utf-8"))["scm_url"]
    settings = {
        "Slicer_DIR": STAND_IN,
        "CMAKE_TOOLCHAIN_FILE": STAND_IN / "NoCompiler.cmake",
        "CMAKE_MAKE_PROGRAM": cmake,  # is asked for, and never called: nothing is built
        "STAND_IN_VERSION": target.version,
        "STAND_IN_REVISION": target.revision or target.version,
        "STAND_IN_OS": target.system,
        "STAND_IN_ARCHITECTURE": target.architecture,
        "STAND_IN_SCM": source.kind,
        "STAND_IN_SCM_URL": address,
        "STAND_IN_SCM_REVISION": source.revision or "NA",
    }
    with tempfile.TemporaryDirectory(prefix="package-", ignore_cleanup_errors=True) as build:
        words = [
            f"-D{name}={Path(value).as_posix() if isinstance(value, Path) else value}"
            for name, value in settings.items()
        ]
        _run(cmake, "-S", str(ROOT), "-B", build, "-G", "Unix Makefiles", *words)
        _run(cmake, "--install", build, "--prefix", str(prefix))


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode:
        raise PackageError(f"CMake ended with {done.returncode}:\n{(done.stdout + done.stderr).strip()[-2000:]}")


def pack(folder: Path, archive: Path, top: str, time: datetime) -> None:
    """The files below `folder` as an archive with one folder `top`; the same files give the same bytes.

    Written beside and renamed. Only files are listed: the manager takes the top folder's name from the first entry.
    """
    files = sorted((f"{top}/{path.relative_to(folder).as_posix()}", path.read_bytes()) for path in _files(folder))
    beside = archive.with_name(f".{archive.name}.tmp")
    try:
        if archive.suffix == ".zip":
            _write_zip(beside, files, max(time, _EARLIEST))
        else:
            _write_tar(beside, files, int(time.timestamp()))
        os.replace(beside, archive)
    finally:
        beside.unlink(missing_ok=True)


def _write_zip(path: Path, files: list[tuple[str, bytes]], time: datetime) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files:
            entry = zipfile.ZipInfo(name, time.timetuple()[:6])
            entry.create_system, entry.external_attr = 3, 0o100644 << 16  # the same from every system
            archive.writestr(entry, content, zipfile.ZIP_DEFLATED, 6)


def _write_tar(path: Path, files: list[tuple[str, bytes]], time: int) -> None:
    with (
        path.open("wb") as raw,
        gzip.GzipFile("", "wb", 6, raw, time) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for name, content in files:
            entry = tarfile.TarInfo(name)
            entry.size, entry.mtime, entry.mode = len(content), time, 0o644
            archive.addfile(entry, io.BytesIO(content))


def build(target: Target, output: Path, *, source: Source | None = None) -> Path:
    """The archive for a Slicer, in the folder `output`.

    Raises
    ------
    PackageError
        If a file is in the tree and in no CMake list, or CMake is not there or does not succeed.
    """
    if lines := differences():
        raise PackageError("\n".join([*lines, "`make cmake-lists` writes the lists anew."]))
    source = source or describe_source()
    name = package_name(target, source)
    output.mkdir(parents=True, exist_ok=True)
    archive = output / f"{name}{SYSTEMS[target.system]}"
    with tempfile.TemporaryDirectory(prefix="package-", ignore_cleanup_errors=True) as prefix:
        install(target, source, Path(prefix), find_cmake())
        pack(Path(prefix), archive, name, source.time)
    return archive


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m Testing.packaging.build_package", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--slicer", default=Target.version, metavar="X.Y", help="Slicer's version (%(default)s)")
    parser.add_argument(
        "--slicer-revision", default="", metavar="REVISION", help="slicer.app.revision; needed for macOS"
    )
    parser.add_argument("--os", default=this_system(), choices=SYSTEMS, help="system (%(default)s)")
    parser.add_argument("--arch", default="amd64", choices=ARCHITECTURES, help="processor (%(default)s)")
    parser.add_argument("--output", type=Path, default=ROOT / "dist", help="folder (dist)")
    chosen = parser.parse_args(arguments)
    try:
        archive = build(Target(chosen.slicer, chosen.os, chosen.arch, chosen.slicer_revision), chosen.output)
    except PackageError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{archive} ({archive.stat().st_size / 1e6:.1f} MB)")
    print(f"In Slicer {chosen.slicer}: Extensions Manager, Install from file; it asks for the extension PyTorch too.")
    if "-dirty" in archive.name:
        print("The files are not those of the commit: the package's name says dirty.", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
