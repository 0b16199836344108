"""The wheel holds the library, the training package and the weights, and says what they need."""

from __future__ import annotations

import ast
import json
import re
import sys
import zipfile
from email.parser import HeaderParser
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from Testing.packaging.cmake_lists import files_below
from Testing.packaging.product import ROOT, run, shipped_models

# Where an import and the distribution that brings it have different names; the rest is looked up in the environment.
_DISTRIBUTIONS = {"PIL": "pillow", "SimpleITK": "simpleitk", "slicer": "slicer-core", "mrml": "slicer-core"}


def imported_names(folder: Path) -> dict[str, set[str]]:
    """Top-level names that the files below a folder import from outside of the project and of Python -> the files."""
    names: dict[str, set[str]] = {}
    for path in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                found = [node.module or ""]
            else:
                continue
            for name in {module.split(".")[0] for module in found} - {"LungNoduleSegLib", "training", "LungNoduleSeg"}:
                if name not in sys.stdlib_module_names:
                    names.setdefault(name, set()).add(path.relative_to(ROOT).as_posix())
    return names


def requirements(wheel: Path) -> dict[str, set[str]]:
    """Extra ("" for the run-time dependencies) -> names of the distributions, normalised."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        headers = HeaderParser().parsestr(archive.read(name).decode())
    found: dict[str, set[str]] = {}
    for requirement in headers.get_all("Requires-Dist", []):
        extra = re.search(r"extra == ['\"](\w+)['\"]", requirement)
        distribution = re.match(r"[A-Za-z0-9._-]+", requirement)
        assert distribution is not None, requirement
        found.setdefault(extra[1] if extra else "", set()).add(distribution[0].lower().replace("_", "-"))
    return found


def test_wheel_holds_library_training_and_weights(wheel: Path):
    with zipfile.ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if ".dist-info/" not in name}
    packages = ("LungNoduleSegLib", "training")
    expected = {f"{package}/{path}" for package in packages for path in files_below(ROOT / package)}
    weights = {f"LungNoduleSegLib/Resources/Weights/{path}" for path in files_below(ROOT / "Resources" / "Weights")}
    assert inside == expected | weights


def test_wheel_carries_licence_and_attribution(wheel: Path):
    with zipfile.ZipFile(wheel) as archive:
        texts = {Path(name).name: archive.read(name).decode() for name in archive.namelist() if "/licenses/" in name}
    assert texts["LICENSE"] == (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "10.7937/K9/TCIA.2015.LO9QL9SX" in texts["NOTICE"]


def test_wheel_works_on_any_platform_and_installs_the_command(wheel: Path):
    assert wheel.name.endswith("-py3-none-any.whl")
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/entry_points.txt"))
        assert "lungnoduleseg = LungNoduleSegLib.cli:main" in archive.read(name).decode().splitlines()


def test_command_of_the_installed_wheel_lists_the_shipped_models(
    installed_wheel: Path, isolated_environment: dict[str, str]
):
    command = installed_wheel / "bin" / "lungnoduleseg"
    environment = isolated_environment | {"PYTHONPATH": str(installed_wheel)}
    models = json.loads(run(sys.executable, command, "models", "--json", cwd=installed_wheel, env=environment))
    weights = installed_wheel / "LungNoduleSegLib" / "Resources" / "Weights"
    available = {model["name"]: Path(model["path"]).parent for model in models if model["available"]}
    assert available == dict.fromkeys(shipped_models(), weights)
    assert {"model-1", "model-2"} <= {model["name"] for model in models}


@pytest.mark.parametrize(
    ("folder", "extras"), [("LungNoduleSegLib", ("", "cpu", "slicer")), ("training", ("", "training"))]
)
def test_every_import_is_a_declared_dependency(wheel: Path, folder: str, extras: tuple[str, ...]):
    declared = set().union(*(requirements(wheel).get(extra, set()) for extra in extras))
    providers = packages_distributions()
    missing = {}
    for name, files in imported_names(ROOT / folder).items():
        candidates = {_DISTRIBUTIONS[name]} if name in _DISTRIBUTIONS else {*providers.get(name, ()), name}
        if not {candidate.lower().replace("_", "-") for candidate in candidates} & declared:
            missing[name] = sorted(files)
    assert missing == {}


def test_every_runtime_dependency_is_imported(wheel: Path):
    names = imported_names(ROOT / "LungNoduleSegLib")
    used = {_DISTRIBUTIONS.get(name, name).lower().replace("_", "-") for name in names}
    assert requirements(wheel)[""] - used == set()


def test_dependencies_are_ranges(wheel: Path):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        headers = HeaderParser().parsestr(archive.read(name).decode())
    runtime = [line for line in headers.get_all("Requires-Dist", []) if "extra ==" not in line]
    assert [line for line in runtime if re.search("==|<|~=", line)] == []
