"""Reading a results folder, and saying what is wrong with one."""

from __future__ import annotations

import gzip
import json

import pytest

from LungNoduleSegLib.errors import InputError
from Testing.training.report.synthetic_results import image_lines, write_images, write_run
from training.report.cost_tables import full_width
from training.report.results import read_costs, read_results
from training.report.rows import rows_of


def test_runs_are_found_wherever_they_lie_and_grouped_by_row(tmp_path):
    for seed in (1, 0):
        write_run(tmp_path / "first", "A", "none", seed=seed)
    write_run(tmp_path, "A", "encoder", protocol="slice")
    rows = rows_of(read_results(tmp_path))
    assert [(r.row, r.protocol, r.seeds) for r in rows] == [("encoder", "slice", (0,)), ("none", "patient", (0, 1))]
    assert rows[1].mean("ms_per_image") == 20
    assert rows[1].mean("no such number") is None


def test_a_run_that_is_not_finished_is_passed_over(tmp_path):
    write_run(tmp_path, "A", "none")
    (tmp_path / "A" / "encoder" / "seed-0").mkdir(parents=True)
    assert len(read_results(tmp_path)) == 1


def test_seeds_are_brought_into_one_order(tmp_path):
    for seed in (0, 1):
        folder = write_run(tmp_path, "A", "none", seed=seed)
    lines = image_lines(0.6, patients=24, images=4, negatives=0, seed=1, spread=0.1)
    write_images(folder / "images.csv.gz", lines[::-1])
    (row,) = rows_of(read_results(tmp_path))
    assert row.runs[0].images.keys == row.runs[1].images.keys


def _spoil_json(folder):
    (folder / "run.json").write_text("{", encoding="utf-8")


def _no_scale(folder):
    facts = json.loads((folder / "run.json").read_text())
    del facts["scale"]
    (folder / "run.json").write_text(json.dumps(facts))


def _unknown_protocol(folder):
    facts = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**facts, "protocol": "image"}))


def _no_images(folder):
    (folder / "images.csv.gz").unlink()


def _half_a_file(folder):
    data = (folder / "images.csv.gz").read_bytes()
    (folder / "images.csv.gz").write_bytes(data[: len(data) // 2])


def _empty_table(folder):
    write_images(folder / "images.csv.gz", [])


def _no_column(folder):
    text = gzip.decompress((folder / "images.csv.gz").read_bytes()).decode().replace("area_px", "area", 1)
    (folder / "images.csv.gz").write_bytes(gzip.compress(text.encode()))


def _no_number(folder):
    lines = image_lines(0.5, patients=2, images=1, negatives=0, seed=0, spread=0)
    write_images(folder / "images.csv.gz", [{**lines[0], "tp": "many"}])


def _below_zero(folder):
    lines = image_lines(0.5, patients=2, images=1, negatives=0, seed=0, spread=0)
    write_images(folder / "images.csv.gz", [{**lines[0], "fp": -1}])


def _more_positives_than_pixels(folder):
    (folder / "calibration.json").write_text(json.dumps({"counts": [1, 1], "positives": [2, 0]}))


@pytest.mark.parametrize(
    ("spoil", "file", "word"),
    [
        (_spoil_json, "run.json", "read"),
        (_no_scale, "run.json", "scale"),
        (_unknown_protocol, "run.json", "'image'"),
        (_no_images, "images.csv.gz", "read"),
        (_half_a_file, "images.csv.gz", "read"),
        (_empty_table, "images.csv.gz", "no image"),
        (_no_column, "images.csv.gz", "area_px"),
        (_no_number, "images.csv.gz", "many"),
        (_below_zero, "images.csv.gz", "`fp`"),
        (_more_positives_than_pixels, "calibration.json", "calibration"),
    ],
)
def test_a_damaged_run_is_named(tmp_path, spoil, file, word):
    spoil(write_run(tmp_path, "A", "none"))
    with pytest.raises(InputError) as caught:
        read_results(tmp_path)
    assert file in str(caught.value) and word in str(caught.value) and caught.value.remedy


def test_an_empty_folder_and_none_at_all(tmp_path):
    for folder in (tmp_path, tmp_path / "absent"):
        with pytest.raises(InputError, match=r"no run|no folder"):
            read_results(folder)


def test_the_same_run_twice_is_refused(tmp_path):
    write_run(tmp_path / "one", "A", "none")
    write_run(tmp_path / "two", "A", "none")
    with pytest.raises(InputError, match="twice"):
        read_results(tmp_path)


def test_seeds_tested_on_other_images_are_refused(tmp_path):
    write_run(tmp_path, "A", "none", seed=0)
    write_run(tmp_path, "A", "none", seed=1, patients=23)
    with pytest.raises(InputError, match="other images"):
        rows_of(read_results(tmp_path))


def test_an_image_named_twice_is_refused(tmp_path):
    folder = write_run(tmp_path, "A", "none")
    lines = image_lines(0.5, patients=2, images=1, negatives=0, seed=0, spread=0)
    write_images(folder / "images.csv.gz", [*lines, lines[0]])
    with pytest.raises(InputError, match="twice"):
        rows_of(read_results(tmp_path))


COST = {
    "study": "E", "row": "unet", "title": "U-Net", "parameters": 31_000_000, "mib": 118.25, "gflop": 25.52,
    "ms_per_image": 438.5, "px": 128, "threads": 1, "device": "cpu", "cpu": "a processor",
}  # fmt: skip


def write_cost(folder, row, **changes):
    place = folder / "E" / row
    place.mkdir(parents=True)
    (place / "cost.json").write_text(json.dumps({**COST, "row": row, **changes}))
    return place / "cost.json"


def test_costs_come_by_size(tmp_path):
    assert read_costs(tmp_path) == []
    write_cost(tmp_path, "unet")
    write_cost(tmp_path, "small", title="Small", parameters=1234, device="cuda")
    costs = read_costs(tmp_path)
    assert [c["row"] for c in costs] == ["small", "unet"]
    table = full_width(costs)
    assert table.lines[0] == ("Small", "1,234", "118.25", "25.5", "438", "128", "1", "cuda")
    assert table.lines[1][-1] == "a processor"


def test_a_cost_that_lacks_something_is_named(tmp_path):
    path = write_cost(tmp_path, "unet")
    path.write_text(json.dumps({k: v for k, v in COST.items() if k != "gflop"}))
    with pytest.raises(InputError, match="gflop") as caught:
        read_costs(tmp_path)
    assert "cost.json" in str(caught.value) and caught.value.remedy
