"""The floors of the library: nothing imports a higher one, and what Slicer loads at start stays light."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LIBRARY = ROOT / "LungNoduleSegLib"

# From the ground up. Parts of one line stand beside each other; only those of the last line may know each other.
FLOORS = (
    ("errors",),
    ("networks", "ct", "weights"),
    ("inference",),
    ("nodules",),
    ("segmenter",),
    ("mrml", "report", "cli", "runner", "client"),
)
TRAINING_FLOORS = (
    ("lidc", "metrics"),
    ("data",),
    ("prepare", "baselines"),
    ("sources",),
    ("evaluate",),
    ("engine",),
    ("reduction",),
    ("publish",),
    ("studies",),
    ("report",),
    ("cli",),
)
FLOOR_OF = {part: floor for floor, parts in enumerate(FLOORS) for part in parts}
TOP = len(FLOORS) - 1

# Parts that Slicer loads with the panel: everything that they import at import time comes with Slicer itself.
LOADED_BY_THE_PANEL = ("errors", "ct", "weights", "nodules", "mrml", "client")
NOT_IN_SLICER = (
    "torch", "onnxruntime", "openvino", "safetensors", "typer", "rich", "nibabel", "matplotlib", "pandas", "skimage",
    "tqdm",
)  # fmt: skip
QT = {"qt", "ctk", "PythonQt", "PySide6", "PyQt5", "PyQt6", "shiboken6"}
SLICER = {"slicer", "mrml", "slicer_core", "vtkSegmentationCore", "vtkSlicerSegmentationsModuleLogic"}
PANEL_FILE_SCOPE = {"slicer", "vtk", "qt", "ctk", "numpy", "scipy", "SimpleITK"}
# Modules of Slicer's own that only exist where the file that imports them is loaded.
PANEL_OF_SLICER = {"SegmentEditorEffect.py": {"SegmentEditorEffects"}}


def python_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*.py") if "__pycache__" not in path.parts)


def _is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def _walk(node: ast.AST, at_import_time: bool) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if at_import_time and (isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)) or _is_type_checking(child)):
            continue
        yield child
        yield from _walk(child, at_import_time)


def imports(path: Path, *, at_import_time: bool = False) -> set[str]:
    """Absolute dotted names of the modules that a file imports; of ``from a import b``, ``a.b``."""
    names: set[str] = set()
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    for node in _walk(ast.parse(path.read_text(encoding="utf-8")), at_import_time):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join((*base, *filter(None, [node.module])))
            names.update(f"{module}.{alias.name}" for alias in node.names)
    return names


def tops(names: set[str]) -> set[str]:
    return {name.split(".")[0] for name in names}


def part_of(path: Path) -> str:
    return path.relative_to(LIBRARY).with_suffix("").parts[0]


def library_parts(names: set[str]) -> set[str]:
    """The parts of the library among imported names; a name of the package root counts as the part it comes from."""
    inside = {name.split(".")[1] for name in names if name.startswith("LungNoduleSegLib.")}
    facade = {"load_segmenter": "segmenter", "read_ct": "ct", "CT": "ct", "__version__": "errors"}
    return {facade.get(part, part) for part in inside}


def test_every_part_of_the_library_has_a_floor():
    assert {part_of(path) for path in python_files(LIBRARY)} - {"__init__", "__main__"} <= FLOOR_OF.keys()


@pytest.mark.parametrize("part", FLOOR_OF)
def test_no_part_imports_a_higher_one(part: str):
    floor, wrong = FLOOR_OF[part], []
    for path in python_files(LIBRARY):
        if part_of(path) != part:
            continue
        for other in library_parts(imports(path)) - {part}:
            if FLOOR_OF[other] > floor or (FLOOR_OF[other] == floor != TOP):
                wrong.append(f"{path.relative_to(ROOT)} imports {other}")
    assert wrong == []


def test_library_knows_neither_training_nor_the_panel():
    for path in python_files(LIBRARY):
        assert not tops(imports(path)) & {"training", "LungNoduleSeg", "Testing", "benchmarks"}, path


def test_no_part_of_training_imports_a_higher_one():
    floor_of = {part: floor for floor, parts in enumerate(TRAINING_FLOORS) for part in parts}
    wrong = []
    for path in python_files(ROOT / "training"):
        part = path.relative_to(ROOT / "training").with_suffix("").parts[0]
        if part in ("__init__", "__main__"):
            continue
        others = {name.split(".")[1] for name in imports(path) if name.startswith("training.")} - {part}
        wrong += [f"{path.relative_to(ROOT)} imports {o}" for o in others if floor_of[o] >= floor_of[part]]
    assert wrong == []


def test_training_stays_below_the_scene():
    for path in python_files(ROOT / "training"):
        names = imports(path)
        assert not library_parts(names) & {"mrml", "cli", "runner", "client"}, path
        assert not tops(names) & {"LungNoduleSeg", "Testing"}, path


def test_networks_need_only_torch():
    for path in python_files(LIBRARY / "networks"):
        assert tops(imports(path)) <= {*sys.stdlib_module_names, "torch", "LungNoduleSegLib"}, path


def test_qt_is_only_in_the_panel():
    for path in (*python_files(LIBRARY), *python_files(ROOT / "training")):
        assert not tops(imports(path)) & QT, path


def test_mrml_is_only_in_mrml_and_the_panel():
    for path in python_files(LIBRARY):
        if part_of(path) == "mrml":
            continue
        assert not tops(imports(path)) & SLICER, path
        words = {
            getattr(node, "id", getattr(node, "attr", ""))
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        }
        assert not {word for word in words if word.startswith(("vtkMRML", "vtkSlicer"))}, path


def test_panel_imports_at_file_scope_only_what_comes_with_slicer():
    for path in python_files(ROOT / "LungNoduleSeg"):
        names = tops(imports(path, at_import_time=True))
        own = {"LungNoduleSeg", "LungNoduleSegPanel"}
        own |= PANEL_OF_SLICER.get(path.name, set())
        assert names <= {*sys.stdlib_module_names, *PANEL_FILE_SCOPE, *own}, path


_REFUSE = """
import importlib, pkgutil, sys
refused = set(sys.argv[1].split(","))
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in refused:
            raise ImportError(f"{name} does not come with Slicer")
sys.meta_path.insert(0, Refuse())
sys.path.insert(0, sys.argv[2])
for name in sys.argv[3].split(","):
    module = importlib.import_module(name)
    for child in pkgutil.walk_packages(getattr(module, "__path__", []), name + "."):
        importlib.import_module(child.name)
"""


@pytest.mark.parametrize("part", ["", *LOADED_BY_THE_PANEL])
def test_what_the_panel_loads_imports_with_what_slicer_brings(part: str):
    module = f"LungNoduleSegLib.{part}".rstrip(".")
    if not part:  # the package itself, without its parts
        code, words = "import sys; sys.path.insert(0, sys.argv[2]); import LungNoduleSegLib", ("", str(ROOT), "")
        code += "; assert not {'torch', 'numpy', 'vtk'} & sys.modules.keys(), 'the package root must cost nothing'"
    else:
        code, words = _REFUSE, (",".join(NOT_IN_SLICER), str(ROOT), module)
    done = subprocess.run(
        [sys.executable, "-I", "-B", "-c", code, *words], capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr
