"""``report``: a results folder in, a folder with the report out."""

from __future__ import annotations

from pathlib import Path

from LungNoduleSegLib.errors import InputError
from training.report.cases import read_cases
from training.report.document import document
from training.report.raw import combined
from training.report.render import to_html, to_markdown
from training.report.results import read_costs, read_results, read_trials
from training.report.rows import rows_of


def write_report(results: Path, output: Path, *, cases: Path | None = None) -> list[Path]:
    """Reads every run, writes ``report.html``, ``report.md``, ``figures/*.png`` and ``images.csv.gz``; their paths.

    Everything is read and worked out before the first file is written.

    Raises
    ------
    InputError
        The results or the cases cannot be used, or the output is a file.
    """
    if output.exists() and not output.is_dir():
        raise InputError("is a file", path=output, remedy="Give a folder for the report.")
    rows = rows_of(read_results(results))
    made = document(rows, read_cases(cases) if cases else (), read_trials(results), read_costs(results))
    files = {
        output / "report.html": to_html(made).encode("utf-8"),
        output / "report.md": to_markdown(made).encode("utf-8"),
        output / "images.csv.gz": combined(rows),
        **{output / "figures" / picture.name: picture.data for picture in made.pictures},
    }
    (output / "figures").mkdir(parents=True, exist_ok=True)
    for path, data in files.items():
        path.write_bytes(data)
    return list(files)
