"""The product as users get it: an installed wheel and an installed Slicer extension, each built once."""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from pathlib import Path

import pytest

from Testing.packaging.product import ROOT, SLICER_STUB, run


@pytest.fixture(scope="session")
def isolated_environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Environment variables of a user who has nothing of this project but what is under test."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LUNGNODULESEG", "PYTHON"))}
    return kept | {"LUNGNODULESEG_WEIGHTS": str(tmp_path_factory.mktemp("empty_store"))}


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built from the checkout, without network."""
    pytest.importorskip("hatchling", reason="hatchling (extra `test`) builds the wheel")
    folder = tmp_path_factory.mktemp("wheel")
    run(
        sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check",
        "--no-build-isolation", "--no-deps", "--no-index", "--wheel-dir", folder, ROOT, cwd=folder,
    )  # fmt: skip
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="session")
def installed_wheel(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder for ``sys.path`` that holds the wheel's content and nothing else."""
    folder = tmp_path_factory.mktemp("site")
    run(
        sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
        "--no-deps", "--no-index", "--target", folder, wheel, cwd=folder,
    )  # fmt: skip
    return folder


def _cmake_tool(name: str) -> str:
    found = shutil.which(name, path=sysconfig.get_path("scripts")) or shutil.which(name)
    if found is None:
        pytest.skip(f"{name} (extra `test`) is not installed")
    return found


@pytest.fixture(scope="session")
def built_extension(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build folder of the Slicer extension, configured and built against the stand-in of Slicer."""
    if not any(shutil.which(compiler) for compiler in (os.environ.get("CC", "cc"), "gcc", "clang", "cl")):
        pytest.skip("CMake's project() looks for a C compiler, and there is none")
    folder = tmp_path_factory.mktemp("extension")
    run(_cmake_tool("cmake"), "-S", ROOT, "-B", folder, f"-DSlicer_DIR={SLICER_STUB}", "-DBUILD_TESTING=ON")
    run(_cmake_tool("cmake"), "--build", folder)
    return folder


@pytest.fixture(scope="session")
def installed_extension(built_extension: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install prefix of the Slicer extension: ``lib/Slicer-X.Y/qt-scripted-modules`` and ``share/Slicer-X.Y``."""
    prefix = tmp_path_factory.mktemp("slicer")
    run(_cmake_tool("cmake"), "--install", built_extension, "--prefix", prefix)
    return prefix


@pytest.fixture(scope="session")
def extension_archive(built_extension: Path) -> Path:
    """The archive that the Extensions Manager would install."""
    run(_cmake_tool("cpack"), "-G", "TGZ", cwd=built_extension)
    (path,) = built_extension.glob("*-LungNoduleSeg-*.tar.gz")
    return path
