"""`make package`: the archive for Slicer's Extensions Manager, built from the checkout, for each system."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from datetime import datetime, timezone
from importlib.util import find_spec
from pathlib import Path, PurePosixPath

import pytest

from Testing.packaging import build_package
from Testing.packaging.build_package import PackageError, Source, Target, build, describe_source, pack, package_name
from Testing.packaging.product import ROOT, run
from Testing.packaging.test_metadata import cmake_field
from Testing.packaging.test_slicer_extension import expected_modules

MADE = Source("git", "0a1b2c3", datetime(2026, 3, 4, 5, 6, 8, tzinfo=timezone.utc))
TARGETS = {
    "linux": Target(system="linux"),
    "win": Target(system="win", version="5.10", revision="33333"),
    "macosx": Target(system="macosx", revision="33333", architecture="arm64"),
}
NAMES = {
    "linux": "5.12-linux-amd64-LungNoduleSeg-git0a1b2c3-2026-03-04.tar.gz",
    "win": "33333-win-amd64-LungNoduleSeg-git0a1b2c3-2026-03-04.zip",
    "macosx": "33333-macosx-arm64-LungNoduleSeg-git0a1b2c3-2026-03-04.tar.gz",
}
# Below the archive's top folder: where the Extensions Manager of that system and version looks.
INSIDE = {
    "linux": ("", "5.12"),
    "win": ("", "5.10"),
    "macosx": ("Slicer.app/Contents/Extensions-33333/LungNoduleSeg/", "5.12"),
}

# Slicer is stood for by its own libraries and the harness; the library and the panel must come from the package.
_LOAD = """
import importlib, json, pkgutil, sys
from pathlib import Path
folder, testing = Path(sys.argv[1]), sys.argv[2]
sys.path.append(testing)
from slicer_harness.application import load_module, start
start()
sys.path.insert(0, str(folder))
python, module, instance = load_module(folder / "LungNoduleSeg.py")
names = []
for package in ("LungNoduleSegPanel", "LungNoduleSegLib"):
    found = importlib.import_module(package)
    names += [package, *(m.name for m in pkgutil.walk_packages(found.__path__, package + "."))]
files = {name: importlib.import_module(name).__file__ for name in names if not name.endswith("__main__")}
print(json.dumps({"title": module.title, "LungNoduleSeg": python.__file__, **files}))
"""


def unpack(archive: Path, folder: Path) -> Path:
    """The archive's one top folder, unpacked."""
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive) as packed:
            packed.extractall(folder)
    else:
        with tarfile.open(archive) as packed:
            packed.extractall(folder, filter="data")
    (top,) = folder.iterdir()
    return top


def files_in(archive: Path) -> list[str]:
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive) as packed:
            return packed.namelist()
    with tarfile.open(archive) as packed:
        assert all(member.isfile() for member in packed.getmembers())
        return packed.getnames()


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    try:
        build_package.find_cmake()
    except PackageError as error:
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("dist")
    return {system: build(target, folder, source=MADE) for system, target in TARGETS.items()}


@pytest.mark.parametrize("system", TARGETS)
def test_name_and_layout_are_those_of_the_extensions_manager(archives: dict[str, Path], system: str):
    assert archives[system].name == NAMES[system]
    prefix, version = INSIDE[system]
    top = re.sub(r"\.(tar\.gz|zip)$", "", NAMES[system])
    modules = {f"{top}/{prefix}lib/Slicer-{version}/qt-scripted-modules/{path}" for path in expected_modules()}
    names = files_in(archives[system])
    assert set(names) == modules | {f"{top}/{prefix}share/Slicer-{version}/LungNoduleSeg.s4ext"}
    assert len(names) == len(set(names))
    assert [path.name for path in archives[system].parent.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize("system", TARGETS)
def test_nothing_is_inside_that_users_do_not_need(archives: dict[str, Path], system: str):
    for name in files_in(archives[system]):
        parts = set(PurePosixPath(name).parts)
        assert not parts & {"__pycache__", "Testing", "training", "benchmarks", "docs", "CMakeLists.txt", ".git"}, name
        assert not name.endswith((".pyc", ".cmake", ".tmp")), name


@pytest.mark.parametrize("system", TARGETS)
def test_description_says_what_cmake_says(archives: dict[str, Path], system: str, tmp_path: Path):
    top = unpack(archives[system], tmp_path)
    (description,) = top.rglob("*.s4ext")
    fields = {}
    for line in description.read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(" ")
        assert name not in fields
        fields[name] = value
    for name in ("homepage", "category", "contributors", "description", "iconurl", "screenshoturls", "depends"):
        assert fields[name] == cmake_field(name.upper()), name
    catalog = json.loads((ROOT / "LungNoduleSeg.json").read_text(encoding="utf-8"))
    assert fields["depends"].split() == catalog["build_dependencies"]
    assert (fields["scm"], fields["scmurl"], fields["scmrevision"]) == ("git", catalog["scm_url"], "0a1b2c3")
    assert (fields["build_subdirectory"], fields["enabled"]) == (catalog["build_subdirectory"], "1")


@pytest.mark.parametrize("suffix", [".zip", ".tar.gz"])
def test_the_same_files_give_the_same_bytes(tmp_path: Path, suffix: str):
    archives = []
    for number, names in enumerate(
        (["b.py", "a/é.txt", "a.txt"], ["a.txt", "a/é.txt", "b.py"])
    ):  # made in another order
        folder = tmp_path / str(number) / "files"
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(name, encoding="utf-8")
            os.utime(folder / name, (number, number))
            (folder / name).chmod(0o600 if number else 0o755)
        archives.append(tmp_path / str(number) / f"packed{suffix}")
        pack(folder, archives[-1], "top", MADE.time)
    assert archives[0].read_bytes() == archives[1].read_bytes()
    assert files_in(archives[0]) == ["top/a.txt", "top/a/é.txt", "top/b.py"]
    assert (unpack(archives[0], tmp_path / "unpacked") / "a" / "é.txt").read_text(encoding="utf-8") == "a/é.txt"


@pytest.mark.skipif(
    any(find_spec(name) is None for name in ("slicer", "PySide6")), reason="slicer-core and PySide6 stand for Slicer"
)
def test_unpacked_it_loads_from_its_own_files(
    archives: dict[str, Path], isolated_environment: dict[str, str], tmp_path: Path
):
    folder = unpack(archives["linux"], tmp_path) / "lib/Slicer-5.12/qt-scripted-modules"
    environment = isolated_environment | {"QT_QPA_PLATFORM": "offscreen"}
    words = (folder, ROOT / "Testing")
    loaded = json.loads(
        run(
            sys.executable,
            "-P" if sys.version_info >= (3, 11) else "-B",
            "-c",
            _LOAD,
            *words,
            cwd=tmp_path,
            env=environment,
        )
        .strip()
        .splitlines()[-1]
    )
    assert loaded.pop("title") == "Lung Nodule Segmentation"
    scripts = {path for path in expected_modules() if path.endswith(".py") and not path.endswith("__main__.py")}
    assert {Path(file).relative_to(folder).as_posix() for file in loaded.values()} == scripts


def test_without_cmake_or_with_stale_lists_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(build_package, "differences", lambda: ["LungNoduleSeg/CMakeLists.txt, X: new.py is not listed"])
    with pytest.raises(PackageError, match=r"new\.py is not listed\n`make cmake-lists`"):
        build(Target(), tmp_path, source=MADE)
    monkeypatch.setattr(build_package.shutil, "which", lambda name, path=None: None)
    with pytest.raises(PackageError, match="CMake is not installed: `pip install cmake`"):
        build_package.find_cmake()
    assert list(tmp_path.iterdir()) == []


def test_a_failing_cmake_is_quoted_and_leaves_no_archive(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(build_package, "differences", list)
    monkeypatch.setattr(build_package, "find_cmake", lambda: sys.executable)  # python -S ...: no such file
    with pytest.raises(PackageError, match=r"CMake ended with \d+:\n.*can't (open file|find '__main__')"):
        build(Target(), tmp_path, source=MADE)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ({"version": "5.12.3"}, "written as X.Y, such as 5.12"),
        ({"system": "amiga"}, "no Slicer for amiga on amd64"),
        ({"architecture": "mips"}, "no Slicer for linux on mips"),
        ({"revision": "33 333"}, "revision is a word"),
        ({"system": "macosx"}, "for macOS holds Slicer's revision in its paths. Give --slicer-revision"),
    ],
)
def test_a_slicer_that_there_is_not_is_refused(words: dict[str, str], sentence: str):
    with pytest.raises(PackageError, match=sentence):
        Target(**words)


def test_command_ends_with_one_sentence(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    assert build_package.main(["--os", "macosx", "--output", str(tmp_path)]) == 1
    output = capsys.readouterr()
    assert output.out == "" and output.err.startswith("A package for macOS holds Slicer's revision")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A small checkout of one commit, made on 2026-03-04."""
    root = tmp_path / "checkout"
    for name in ("LungNoduleSeg/LungNoduleSeg.py", "LungNoduleSegLib/__init__.py", "CMakeLists.txt", "README.md"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("x\n", encoding="utf-8")
    return root


def commit(root: Path) -> None:
    stamp = {"GIT_AUTHOR_DATE": "2026-03-04T05:06:08+0000", "GIT_COMMITTER_DATE": "2026-03-04T05:06:08+0000"}
    words = ["git", "-c", "user.name=n", "-c", "user.email=e@x", "-c", "commit.gpgsign=false"]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "one"]):
        try:
            subprocess.run([*words, *command], cwd=root, check=True, timeout=60, env={**os.environ, **stamp})
        except OSError:
            pytest.skip("git is not installed")


def test_the_commit_is_named_and_changes_are_not_hidden(checkout: Path):
    commit(checkout)
    source = describe_source(checkout)
    assert source.kind == "git" and re.fullmatch(r"[0-9a-f]{7}", source.revision)
    assert source.time == datetime(2026, 3, 4, 5, 6, 8, tzinfo=timezone.utc)

    (checkout / "README.md").write_text("not in the package\n", encoding="utf-8")
    assert describe_source(checkout) == source
    (checkout / "LungNoduleSegLib" / "new.py").write_text("", encoding="utf-8")
    changed = describe_source(checkout)
    assert changed.revision == f"{source.revision}-dirty"
    assert package_name(Target(), changed) == f"5.12-linux-amd64-LungNoduleSeg-git{source.revision}-dirty-2026-03-04"


def test_without_git_it_is_a_local_one_of_its_newest_file(checkout: Path):
    days = {"CMakeLists.txt": 0, "LungNoduleSeg/LungNoduleSeg.py": 1, "LungNoduleSegLib/__init__.py": 2, "README.md": 3}
    for name, day in days.items():  # README.md is not in the package
        os.utime(checkout / name, (1_700_000_000 + day * 86_400,) * 2)
    source = describe_source(checkout)
    assert source == Source("local", "", datetime.fromtimestamp(1_700_000_000 + 2 * 86_400, timezone.utc))
    assert package_name(Target(), source) == "5.12-linux-amd64-LungNoduleSeg-local-2023-11-16"
