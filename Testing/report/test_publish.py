"""Results appear complete or not at all."""

from __future__ import annotations

import os
import signal
import stat
from pathlib import Path

import pytest

from LungNoduleSegLib.errors import InputError
from LungNoduleSegLib.report.publish import Publication, check_target, interrupts_held

NAMES = ("a.txt", "b.txt", "c.txt")


def fill(publication, **texts):
    for name, text in texts.items():
        (publication.folder / f"{name}.txt").write_text(text)


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_new_folder_appears_with_its_parents(tmp_path):
    target = tmp_path / "one" / "two"
    with Publication(target, NAMES) as publication:
        fill(publication, a="1", c="3")
        assert not target.parent.exists()
        assert publication.commit() == [target / "a.txt", target / "c.txt"]
    assert contents(target) == {"a.txt": "1", "c.txt": "3"}
    assert [path.name for path in tmp_path.iterdir()] == ["one"]


@pytest.mark.skipif(os.name == "nt", reason="POSIX rights")
def test_new_folder_has_ordinary_rights(tmp_path):
    with Publication(tmp_path / "new", NAMES) as publication:
        fill(publication, a="1")
        publication.commit()
    (tmp_path / "plain").mkdir()
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == stat.S_IMODE((tmp_path / "plain").stat().st_mode)


def test_without_commit_nothing_appears(tmp_path):
    with pytest.raises(RuntimeError), Publication(tmp_path / "one" / "two", NAMES) as publication:
        fill(publication, a="1")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_earlier_result_is_replaced_as_a_whole_and_other_files_stay(tmp_path):
    for name in ("a.txt", "b.txt", "mine.txt"):
        (tmp_path / name).write_text("old")
    with Publication(tmp_path, NAMES) as publication:
        fill(publication, a="new", c="new")
        assert contents_of_files(tmp_path) == {"a.txt": "old", "b.txt": "old", "mine.txt": "old"}
        publication.commit()
    assert contents(tmp_path) == {"a.txt": "new", "c.txt": "new", "mine.txt": "old"}  # b.txt would be a stale result


def contents_of_files(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir() if path.is_file()}


def test_failure_while_renaming_restores_the_earlier_result(tmp_path, monkeypatch):
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text("old")
    rename = Path.rename

    def failing(self, target):
        if Path(target) == tmp_path / "c.txt":
            raise OSError("disk full")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(OSError, match="disk full"), Publication(tmp_path, NAMES) as publication:
        fill(publication, a="new", c="new")
        publication.commit()
    monkeypatch.undo()
    assert contents(tmp_path) == {"a.txt": "old", "b.txt": "old"}


def test_failure_with_a_new_folder_removes_the_parents_that_were_made(tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "rename", lambda *_: (_ for _ in ()).throw(OSError("no")))
    with pytest.raises(OSError, match="no"), Publication(tmp_path / "x" / "y", NAMES) as publication:
        publication.commit()
    assert list(tmp_path.iterdir()) == []


def test_file_as_target_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="the output folder is a file"):
        check_target(tmp_path / "file")
    with pytest.raises(InputError, match="lies below the file"):
        check_target(tmp_path / "file" / "below")


@pytest.mark.skipif(os.name == "nt" or not hasattr(os, "geteuid") or os.geteuid() == 0, reason="rights bind users only")
def test_folder_without_rights_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(InputError, match="cannot write there"):
            check_target(tmp_path / "new")
    finally:
        tmp_path.chmod(0o700)


@pytest.mark.parametrize(
    "name", ["with space", "Ärzte-患者", "x" * 200, "-dash", "a'b\"c" if os.name != "nt" else "ab"]
)
def test_any_name_works(tmp_path, name):
    for text in ("1", "2"):
        with Publication(tmp_path / name, NAMES) as publication:
            fill(publication, a=text)
            publication.commit()
    assert contents(tmp_path / name) == {"a.txt": "2"}


def test_interrupt_waits_for_the_block(request):
    # Test runs that a shell started in the background have SIGINT ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, before))
    done = False
    with pytest.raises(KeyboardInterrupt), interrupts_held():
        signal.raise_signal(signal.SIGINT)
        done = True
    assert done
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)  # and reaches Python as before afterwards
