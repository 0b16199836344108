"""The report as files: what is in it, what it says of what is not."""

from __future__ import annotations

import base64
import csv
import gzip
import io
import re
from html.parser import HTMLParser

import pytest
from PIL import Image
from typer.testing import CliRunner

from LungNoduleSegLib.errors import InputError
from Testing.training.report.synthetic_results import write_run
from training.cli.app import app
from training.report.figures import learning_curves
from training.report.layout import TITLES
from training.report.raw import combined
from training.report.results import read_results
from training.report.rows import rows_of
from training.report.write import write_report


class Structure(HTMLParser):
    """Checks that elements close in order, and keeps headings, cells a line and pictures."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.pictures: list[str] = []
        self.headings: list[str] = []
        self.widths: list[int] = []

    def handle_starttag(self, tag, attrs):
        if tag == "img":
            self.pictures.append(dict(attrs)["src"])
        if tag == "tr":
            self.widths.append(0)
        if tag in ("td", "th"):
            self.widths[-1] += 1
        if tag not in ("img", "meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] in ("h2", "h3"):
            self.headings.append(data)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    for row, iou in (("none", 0.5), ("encoder", 0.6), ("encoder+bottleneck", 0.6)):
        for seed in (0, 1):
            write_run(folder, "A", row, iou=iou, seed=seed, negatives=2 if row == "none" else 0)
            if row != "encoder":
                home = write_run(folder / "x", "A", row, iou=iou + 0.1, seed=seed, protocol="slice")
                target = folder / "A-slice" / row / f"seed-{seed}"
                target.parent.mkdir(parents=True, exist_ok=True)
                home.rename(target)
    for row in ("B/model-1", "D/unet"):
        write_run(folder, *row.split("/"), iou=0.55, ms_per_image=7.5)
    trial = folder / "C" / "512px" / "trial.json"
    trial.parent.mkdir(parents=True)
    trial.write_text('{"study": "C", "row": "512px", "tried_on": "8 tiles of 6 scans"}')
    return folder


@pytest.fixture(scope="module")
def report(results, tmp_path_factory):
    cases = tmp_path_factory.mktemp("cases")
    Image.new("RGB", (8, 8), "red").save(cases / "worst-1.png")
    (cases / "captions.json").write_text('{"worst-1.png": "LIDC-IDRI-0063, a | b"}')
    output = tmp_path_factory.mktemp("report") / "new"
    write_report(results, output, cases=cases)
    return output


def lines(markdown: str, title: str) -> list[list[str]]:
    """Cells of the first Markdown table below a heading that begins so."""
    part = markdown[re.search(rf"^### {re.escape(title)}", markdown, re.M).end() :]
    rows = re.search(r"\n\n((?:\|.*\n)+)", part).group(1).strip().split("\n")
    return [[c.strip() for c in re.split(r"(?<!\\)\|", row)[1:-1]] for row in rows]


def test_html_is_whole_and_stands_alone(report):
    text = (report / "report.html").read_text(encoding="utf-8")
    structure = Structure()
    structure.feed(text)
    assert structure.open == []
    assert len(structure.pictures) == len(list((report / "figures").glob("*.png")))
    for source in structure.pictures:
        Image.open(io.BytesIO(base64.b64decode(source.removeprefix("data:image/png;base64,")))).load()
    assert not re.search(r"(src|href)=\"(?!data:|#)", text)


def test_every_table_has_whole_lines_and_every_picture_is_there(report):
    text = (report / "report.md").read_text(encoding="utf-8")
    for block in re.findall(r"(?:^\|.*\n)+", text, re.M):
        assert len({len(re.split(r"(?<!\\)\|", row)) for row in block.strip().split("\n")}) == 1
    named = re.findall(r"\]\((figures/[^)]+)\)", text)
    assert named and all((report / name).is_file() for name in named)
    assert len(named) == len(list((report / "figures").iterdir()))
    assert all(title in text for title in TITLES.values())


def test_compact_scale_stands_in_the_title_and_in_every_table_of_figures(report):
    text = (report / "report.md").read_text(encoding="utf-8")
    assert text.startswith("# ") and "compact scale" in text.splitlines()[0]
    headings = [h for h in re.findall(r"^### (.*)", text, re.M) if h.startswith(("Table", "Without"))]
    assert headings and all("compact scale" in h for h in headings)


def test_nothing_is_filled_in(report):
    text = (report / "report.md").read_text(encoding="utf-8")
    header, _, *rows = lines(text, f"{TITLES['C']} – compact scale: images with a nodule")
    by_title = {row[0]: dict(zip(header, row)) for row in rows}
    assert by_title["model 1, 512 px"]["iou_pos"].startswith("needs the full data set (its code was tried on 8 tiles")
    assert by_title["model 1, 256 px"]["iou_pos"] == "needs the full data set"
    assert by_title["model 1, 128 px"]["iou_pos"] == "not run"
    assert by_title["model 1, 64 px"]["iou_pos"].startswith("0.5")  # model 1's own runs, at the scale's window
    assert by_title["model 1, 512 px"]["thesis, implied iou_pos"] == "0.444"


def test_negatives_are_named_or_the_cells_say_na(report):
    text = (report / "report.md").read_text(encoding="utf-8")
    header, _, none, encoder, decoder, *_ = lines(text, f"{TITLES['A']} – compact scale: in the thesis' convention")
    none, encoder, decoder = (dict(zip(header[:11], row)) for row in (none, encoder, decoder))
    assert none["negatives"] == "lung: 48 images of 24 patients"
    assert none["accuracy"].count(".") == 3 and none["n positives"] == "96"
    assert {encoder[k] for k in ("iou_all", "TN", "FP", "accuracy", "negatives")} == {"n/a"}
    assert decoder["iou_all"] == "not run" and decoder["TP"] == "–"


def test_differences_say_what_cannot_be_told_apart(report):
    text = (report / "report.md").read_text(encoding="utf-8")
    header, _, encoder, *_ = lines(text, f"{TITLES['A']} – compact scale: differences")
    assert encoder[header.index("which is")] == "higher" and encoder[header.index("seeds")] == "2 / 2"
    header, _, one, two = lines(text, f"{TITLES['B']} – compact scale: differences")
    assert two[header.index("which is")] == "not separable"
    assert one[header.index("which is")].endswith("(one seed)")


def test_the_leak_is_measured(report):
    text = (report / "report.md").read_text(encoding="utf-8")
    header, _, *rows = lines(text, "How much of a score is leakage")
    assert [row[0] for row in rows if row[2] == "iou_pos"] == ["A / encoder+bottleneck", "A / none"]
    assert all(float(row[header.index("difference")].split()[0]) == pytest.approx(0.1, abs=0.02)
               for row in rows if row[2] == "iou_pos")  # fmt: skip


def test_captions_stay_inside_their_line(report):
    text = (report / "report.md").read_text(encoding="utf-8")
    assert "![LIDC-IDRI-0063, a \\| b](figures/case-worst-1.png)" in text


def test_raw_results_hold_every_image_of_every_run(report, results):
    data = (report / "images.csv.gz").read_bytes()
    rows = list(csv.DictReader(io.StringIO(gzip.decompress(data).decode())))
    assert len(rows) == 10 * 96 + 2 * 96 + 2 * 48
    one = [r for r in rows if (r["row"], r["protocol"], r["seed"], r["source"]) == ("none", "patient", "0", "crop")]
    assert len(one) == 96 and all(int(r["tp"]) + int(r["fn"]) == int(r["area_px"]) for r in one)


def test_the_same_results_give_the_same_bytes(results, report):
    rows = rows_of(read_results(results))
    assert combined(rows) == (report / "images.csv.gz").read_bytes()
    one, other = (learning_curves("a.png", "", [(row.row, row.runs) for row in rows[:2]]).data for _ in range(2))
    assert one == other


def test_an_empty_folder_writes_nothing(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no run"):
        write_report(tmp_path / "empty", tmp_path / "report")
    assert not (tmp_path / "report").exists()


def test_cases_that_are_none_are_named(results, tmp_path):
    with pytest.raises(InputError, match="no folder"):
        write_report(results, tmp_path / "report", cases=tmp_path / "absent")
    (tmp_path / "cases").mkdir()
    with pytest.raises(InputError, match="no PNG"):
        write_report(results, tmp_path / "report", cases=tmp_path / "cases")
    (tmp_path / "cases" / "a.png").write_text("no picture")
    with pytest.raises(InputError, match="is no PNG"):
        write_report(results, tmp_path / "report", cases=tmp_path / "cases")
    (tmp_path / "cases" / "captions.json").write_text('{"b.png": "?"}')
    with pytest.raises(InputError, match=r"b\.png"):
        write_report(results, tmp_path / "report", cases=tmp_path / "cases")


def test_the_command(tmp_path):
    write_run(tmp_path / "results", "A", "none")
    done = CliRunner().invoke(app, ["report", str(tmp_path / "results"), "--output", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "out" / "report.html").is_file() and "report.md" in done.output
