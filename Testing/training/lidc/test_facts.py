"""The figures of the annotations: by hand on made-up scans, and equal to the published ones on the real database."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import pytest

from LungNoduleSegLib.errors import InputError
from Testing.training.synthetic import annotated_scan, annotation, box_outline, contour
from training.cli import main
from training.lidc.facts import cache_file, compare, count, read_cached, write_cached
from training.lidc.published import PUBLISHED


def reader(number: int, column: int, *z_mm: float, width: int = 7):
    """Boxes of 5 rows and ``width`` - 2 columns inside."""
    return annotation(number, *(contour(z, box_outline(1, column, 7, width)) for z in z_mm))


@pytest.fixture
def scans():
    """One patient with two scans, another one, and one without nodule."""
    both = (reader(1, 10, 2, 3), reader(2, 10, 2, 3), reader(3, 10, 2), reader(4, 40, 3, width=3))
    first = annotated_scan(*both, patient="A", series="1", thickness_mm=1.0)
    again = annotated_scan(*both, patient="A", series="2", thickness_mm=2.0)
    other = replace(annotated_scan(reader(5, 5, 7, width=10), patient="B", series="3"), pixel_spacing_mm=0.5)
    return [first, again, other, annotated_scan(patient="C", series="4", slices=12)]


def test_every_published_figure_is_counted(scans):
    assert {p.key for p in PUBLISHED} <= set(count(scans))


def test_counts_by_hand(scans):
    figures = count(scans)
    expected = {
        "scans": 4, "patients": 3, "annotations": 9, "contours": 13, "slices": 42,
        "nodules": 5, "nodules_1_reader": 3, "nodules_2_readers": 0, "nodules_3_readers": 2, "nodules_4_readers": 0,
        "nodules_more_readers": 0, "patients_with_nodule": 2, "patients_without_nodule": 1,
        "spacing_min_mm": 0.5, "spacing_max_mm": 0.7, "spacing_mean_mm": pytest.approx(0.65),
        "thickness_min_mm": 1.0, "thickness_max_mm": 2.0,
        # First scans only. A: 25 px on two slices and 5 px on one of them; B: 5 x 8 px on one slice.
        "any_images": 4, "any_nodules": 3, "any_patients": 2,
        "thesis_images": 3, "thesis_nodules": 2, "thesis_patients": 2,
        "slice_any_images": 3, "slice_images": 3, "slice_patients": 2,
        "three_images": 2, "three_nodules": 1, "three_patients": 1,
        "box_median_px": 5.0, "box_max_px": 8,
        "clean_images": 12, "clean_patients": 1,
        "test_positive": 0, "test_clean": 2, "test_images": 2, "test_of_all": 3,
    }  # fmt: skip
    assert {key: figures[key] for key in expected} == expected


def test_no_scan_is_an_error():
    with pytest.raises(InputError, match="no scan"):
        count([])


def test_a_figure_is_compared_to_the_decimals_it_was_published_with():
    values = {p.key: p.value for p in PUBLISHED}
    assert all(fact.equal for fact in compare(values))
    assert all(fact.equal for fact in compare(values | {"spacing_min_mm": 0.46141}))
    assert [f.key for f in compare(values | {"spacing_min_mm": 0.4616}) if not f.equal] == ["spacing_min_mm"]
    assert [f.key for f in compare(values | {"box_95_px": 35.6}) if not f.equal] == ["box_95_px"]


def test_the_cache_gives_back_what_was_counted(tmp_path, scans):
    figures = count(scans)
    path = write_cached(tmp_path / "new", "ab" * 32, figures)
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    assert read_cached(tmp_path / "new", "ab" * 32) == {p.key: figures[p.key] for p in PUBLISHED}
    assert read_cached(tmp_path / "new", "cd" * 32) is None


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[: len(content) // 2],
        lambda content: b"[1, 2]",
        lambda content: content.replace(b'"format": ', b'"format": 9'),
        lambda content: content.replace(b'"scans": 4', b'"scans": "4"'),
        lambda content: content.replace(b'"scans"', b'"other"'),
        lambda content: content.replace(b"abab", b"abac"),
    ],
    ids=["empty", "half", "a list", "another format", "text", "a figure lacks", "another database"],
)
def test_a_damaged_cache_is_counted_again(tmp_path, scans, damage):
    path = write_cached(tmp_path, "ab" * 32, count(scans))
    damaged = damage(path.read_bytes())
    assert damaged != path.read_bytes()
    path.write_bytes(damaged)
    assert read_cached(tmp_path, "ab" * 32) is None


def test_a_cache_that_cannot_be_written_leaves_nothing_behind(tmp_path):
    cache_file(tmp_path, "ab" * 32).mkdir()  # renaming a file over a folder fails
    with pytest.raises(OSError):
        write_cached(tmp_path, "ab" * 32, {})
    assert [p.is_dir() for p in tmp_path.iterdir()] == [True]


@pytest.fixture
def command(monkeypatch, capsys):
    """``python -m training facts ...``: its exit code, output and errors."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["training", "facts", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code or 0, *capsys.readouterr()

    return run


def test_figures_that_differ_are_named_and_end_with_1(command, small_database, tmp_path):
    code, out, err = command("--database", small_database, "--cache", tmp_path / "cache")
    assert code == 1
    assert "figures differ from the published ones" in err
    assert "scans (scans) is 2, not 1,018" in err
    assert "NO" in out


def test_json_is_the_same_from_the_cache(command, small_database, tmp_path):
    arguments = ("--json", "--database", small_database, "--cache", tmp_path / "cache")
    code, out, _ = command(*arguments)
    first, second = json.loads(out), json.loads(command(*arguments)[1])
    assert (code, first["equal"], first["cached"], second["cached"]) == (1, False, False, True)
    assert first["facts"] == second["facts"]
    assert first["facts"][0] == {"key": "scans", "what": "scans", "value": 2, "published": 1018, "equal": False}
    assert json.loads(command(*arguments, "--again")[1])["cached"] is False


def test_the_cache_folder_can_be_told_by_the_environment(command, small_database, tmp_path, monkeypatch):
    monkeypatch.setenv("LUNGNODULESEG_CACHE", str(tmp_path / "there"))
    command("--json", "--database", small_database)
    assert len(list((tmp_path / "there").glob("facts-*.json"))) == 1


def test_without_room_for_a_cache_the_figures_still_come(command, small_database, tmp_path):
    (tmp_path / "file").write_text("")
    _, out, err = command("--json", "--database", small_database, "--cache", tmp_path / "file")
    assert json.loads(out)["facts"]
    assert "could not be cached" in err


def test_a_database_that_is_not_there_is_named(command, tmp_path):
    code, _, err = command("--database", tmp_path / "none.sqlite", "--cache", tmp_path)
    assert code == 2
    assert "none.sqlite" in err


@pytest.mark.slow
def test_the_real_database_has_every_published_figure(lidc_scans):
    assert [(f.key, f.value, f.published) for f in compare(count(lidc_scans)) if not f.equal] == []
