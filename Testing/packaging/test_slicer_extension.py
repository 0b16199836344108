"""The Slicer extension: everything of the tree arrives where Slicer looks for it, and the installed tree works."""

from __future__ import annotations

import ast
import json
import sys
import tarfile
from pathlib import Path

import pytest

from Testing.packaging.cmake_lists import differences, files_below, listed, wanted, write
from Testing.packaging.product import ROOT, run

MODULES = Path("lib/Slicer-5.12/qt-scripted-modules")
DESCRIPTION = Path("share/Slicer-5.12/LungNoduleSeg.s4ext")

_IMPORT_ALL = """
import importlib, json, pkgutil, sys
sys.path.insert(0, sys.argv[1])
import LungNoduleSegLib
names = ["LungNoduleSegLib"] + [m.name for m in pkgutil.walk_packages(LungNoduleSegLib.__path__, "LungNoduleSegLib.")]
files = {name: importlib.import_module(name).__file__ for name in names if not name.endswith("__main__")}
print(json.dumps(files))
"""


def expected_modules() -> set[str]:
    """What must lie in qt-scripted-modules: the module, the panel's package, the library with the weights."""
    library = {f"LungNoduleSegLib/{path}" for path in files_below(ROOT / "LungNoduleSegLib")}
    weights = {
        f"LungNoduleSegLib/Resources/Weights/{path.name}"
        for suffix in ("json", "safetensors")
        for path in (ROOT / "Resources" / "Weights").glob(f"*.{suffix}")
    }
    texts = {"LungNoduleSegLib/LICENSE", "LungNoduleSegLib/NOTICE"}
    return {*files_below(ROOT / "LungNoduleSeg"), *library, *weights, *texts}


def test_cmake_lists_name_every_file_of_the_tree():
    assert differences() == [], "`make cmake-lists` writes the lists anew"


def test_a_file_that_is_not_listed_is_noticed_and_written(tmp_path: Path):
    for folder in ("LungNoduleSeg", "LungNoduleSegLib"):
        (tmp_path / folder / "deep").mkdir(parents=True)
        text = (ROOT / folder / "CMakeLists.txt").read_text(encoding="utf-8")
        (tmp_path / folder / "CMakeLists.txt").write_text(text, encoding="utf-8")
    (tmp_path / "Resources" / "Weights").mkdir(parents=True)
    for name in ("LungNoduleSeg/LungNoduleSeg.py", "LungNoduleSegLib/deep/new.py", "LungNoduleSegLib/table.json"):
        (tmp_path / name).write_text("", encoding="utf-8")
    (tmp_path / "LungNoduleSegLib" / "__pycache__").mkdir()
    (tmp_path / "LungNoduleSegLib" / "__pycache__" / "new.pyc").write_bytes(b"")
    (tmp_path / "Resources" / "Weights" / "tiny.safetensors").write_bytes(b"")

    before = differences(tmp_path)
    assert "LungNoduleSegLib/CMakeLists.txt, LIBRARY_PYTHON_SCRIPTS: deep/new.py is not listed" in before
    assert "LungNoduleSegLib/CMakeLists.txt, LIBRARY_WEIGHTS: tiny.safetensors is not listed" in before
    assert any("is listed and does not exist" in line for line in before)  # every other file of the library

    write(tmp_path)
    assert differences(tmp_path) == []
    cmake = tmp_path / "LungNoduleSegLib" / "CMakeLists.txt"
    assert listed(cmake, "LIBRARY_PYTHON_SCRIPTS") == ["deep/new.py"]
    assert listed(cmake, "LIBRARY_RESOURCES") == ["table.json"]
    assert set(wanted(tmp_path)[cmake]) == {"LIBRARY_PYTHON_SCRIPTS", "LIBRARY_RESOURCES", "LIBRARY_WEIGHTS"}


def test_installed_set_equals_the_tree(installed_extension: Path):
    installed = set(files_below(installed_extension))
    modules = {path.removeprefix(f"{MODULES.as_posix()}/") for path in installed - {DESCRIPTION.as_posix()}}
    assert modules == expected_modules()
    assert DESCRIPTION.as_posix() in installed


def test_slicer_takes_the_module_file_for_a_module_and_nothing_else(installed_extension: Path):
    """Slicer makes a module of every .py that lies in qt-scripted-modules itself, without looking into it.

    Sub-folders are not searched (qSlicerAbstractModuleFactoryManager::registerModules), so the panel's package and the
    library must arrive as folders. A first line "#!" would make it a command-line module instead (qSlicerUtils).
    """
    folder = installed_extension / MODULES
    assert [path.name for path in folder.glob("*.py")] == ["LungNoduleSeg.py"]
    assert not (folder / "LungNoduleSeg.py").read_text(encoding="utf-8").startswith("#!")
    assert (folder / "LungNoduleSegPanel" / "__init__.py").is_file()


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_dropping_the_checkout_on_slicer_offers_the_module_only(depth: int):
    """Drag and drop, and the Extension Wizard, take files with a top-level class of the file's name for modules.

    They go `depth` folders deep, but not into folders with an __init__.py (ExtensionWizardLib, ModuleInfo.findModules).
    So the class must be written in the module file, not only imported there.
    """
    assert module_files(ROOT / "LungNoduleSeg", depth) == [ROOT / "LungNoduleSeg" / "LungNoduleSeg.py"]
    assert set(module_files(ROOT, depth)) <= {ROOT / "LungNoduleSeg" / "LungNoduleSeg.py"}


def module_files(folder: Path, depth: int) -> list[Path]:
    """The files that Slicer takes for modules when a folder is dropped on it."""
    entries = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    if any(path.name == "__init__.py" for path in entries):
        return []
    found = []
    for path in entries:
        if path.is_dir() and depth:
            found += module_files(path, depth - 1)
        elif path.suffix == ".py":
            tree = ast.parse(path.read_text(encoding="utf-8"))
            found += [path for node in tree.body if isinstance(node, ast.ClassDef) and node.name == path.stem]
    return found


def test_build_tree_holds_the_weights_where_the_library_looks(built_extension: Path):
    assert set(files_below(built_extension / MODULES)) == expected_modules()


def test_archive_is_one_that_the_extensions_manager_installs(extension_archive: Path):
    with tarfile.open(extension_archive) as archive:
        files = {Path(member.name) for member in archive.getmembers() if member.isfile()}
    tops = {path.parts[0] for path in files}
    assert len(tops) == 1  # one folder, named like the archive
    inside = {Path(*path.parts[1:]) for path in files}
    assert {MODULES / path for path in expected_modules()} | {DESCRIPTION} == inside


def test_description_asks_for_pytorch_and_says_research_use(installed_extension: Path):
    fields = dict(
        line.split(" ", 1) for line in (installed_extension / DESCRIPTION).read_text(encoding="utf-8").splitlines()
    )
    catalog = json.loads((ROOT / "LungNoduleSeg.json").read_text(encoding="utf-8"))
    assert fields["depends"].split() == catalog["build_dependencies"] == ["PyTorch"]
    assert fields["category"] == catalog["category"] == "Segmentation"
    assert "Research use only" in fields["description"]


def test_every_module_of_the_installed_library_imports_from_the_installed_tree(
    installed_extension: Path, isolated_environment: dict[str, str]
):
    pytest.importorskip("vtk")
    folder = installed_extension / MODULES
    files = json.loads(
        run(sys.executable, "-I", "-B", "-c", _IMPORT_ALL, folder, cwd=installed_extension, env=isolated_environment)
    )
    imported = {Path(file).relative_to(folder).as_posix() for file in files.values() if file}
    scripts = {path for path in expected_modules() if path.startswith("LungNoduleSegLib/") and path.endswith(".py")}
    assert imported == {path for path in scripts if not path.endswith("__main__.py")}
