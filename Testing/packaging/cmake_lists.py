"""The lists of files in the CMakeLists.txt of the module and of the library, compared with the tree or written from it.

    python Testing/packaging/cmake_lists.py            # says what differs, exit code 1
    python Testing/packaging/cmake_lists.py --write    # `make cmake-lists`
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WEIGHT_SUFFIXES = (".json", ".safetensors")
_NEVER = re.compile(r"(^|/)(__pycache__|\..*|CMakeLists\.txt)(/|$)|\.pyc$")


def files_below(folder: Path) -> list[str]:
    """Relative POSIX paths of what is worth packaging, sorted; caches, hidden files and CMake lists left out."""
    if not folder.is_dir():
        return []
    paths = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return sorted(path for path in paths if not _NEVER.search(path))


def wanted(root: Path = ROOT) -> dict[Path, dict[str, list[str]]]:
    """CMake file -> name of the list -> the files that it must name."""
    lists: dict[Path, dict[str, list[str]]] = {}
    for folder, prefix in (("LungNoduleSeg", "MODULE_PYTHON"), ("LungNoduleSegLib", "LIBRARY")):
        files = files_below(root / folder)
        scripts = "MODULE_PYTHON_SCRIPTS" if prefix == "MODULE_PYTHON" else "LIBRARY_PYTHON_SCRIPTS"
        lists[root / folder / "CMakeLists.txt"] = {
            scripts: [path for path in files if path.endswith(".py")],
            f"{prefix}_RESOURCES": [path for path in files if not path.endswith(".py")],
        }
    weights = [path for path in files_below(root / "Resources" / "Weights") if path.endswith(WEIGHT_SUFFIXES)]
    lists[root / "LungNoduleSegLib" / "CMakeLists.txt"]["LIBRARY_WEIGHTS"] = weights
    return lists


def _block(name: str) -> re.Pattern[str]:
    return re.compile(rf"^set\({name}\n(?P<body>(?:  \S.*\n)*?)  \)$", re.MULTILINE)


def listed(cmake: Path, name: str) -> list[str]:
    """The files that ``set(name ...)`` in a CMake file names, in its order."""
    found = _block(name).search(cmake.read_text(encoding="utf-8"))
    if found is None:
        raise ValueError(f"{cmake}: no list set({name} ...), one file a line")
    return found["body"].split()


def write(root: Path = ROOT) -> None:
    for cmake, lists in wanted(root).items():
        text = cmake.read_text(encoding="utf-8")
        for name, files in lists.items():
            listed(cmake, name)  # says which list is missing
            body = "".join(f"  {path}\n" for path in files)
            text = _block(name).sub(lambda _, body=body, name=name: f"set({name}\n{body}  )", text)
        cmake.write_text(text, encoding="utf-8")


def differences(root: Path = ROOT) -> list[str]:
    """One line for each file that is not listed, or listed and not there."""
    lines = []
    for cmake, lists in wanted(root).items():
        for name, files in lists.items():
            named, where = listed(cmake, name), f"{cmake.relative_to(root).as_posix()}, {name}"
            lines += [f"{where}: {path} is not listed" for path in files if path not in named]
            lines += [f"{where}: {path} is listed and does not exist" for path in named if path not in files]
            lines += [f"{where}: {path} is listed twice" for path in sorted({p for p in named if named.count(p) > 1})]
    return lines


def main(arguments: list[str]) -> int:
    if arguments == ["--write"]:
        write()
    elif arguments:
        print(__doc__)
        return 2
    lines = differences()
    print("\n".join(lines) or "The CMake lists name every file of the tree.")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
