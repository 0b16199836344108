"""One run from a CT path to a folder of results, as both commands do it."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from LungNoduleSegLib.cli.console import ProgressBar, err, out, remark
from LungNoduleSegLib.cli.inputs import display_name
from LungNoduleSegLib.cli.outputs import NAMES, Written, write_outputs
from LungNoduleSegLib.cli.table import nodule_table, nothing_found
from LungNoduleSegLib.report.publish import Publication
from LungNoduleSegLib.report.text import RESEARCH_USE, headline, training_sentence

if TYPE_CHECKING:
    from LungNoduleSegLib.ct import CT

Tell = Callable[[float, str], None]


def run(
    ct_path: Path,
    output: Path,
    *,
    command: str,
    model: str,
    device: str,
    engine: str = "auto",
    series: str | None,
    check: Callable[[CT], Any],
    work: Callable[[Any, CT, Any, Tell], Any],
) -> Any:
    """Reads the CT, runs the model, writes the results and prints them.

    Parameters
    ----------
    ct_path, output, model, device, engine, series
        As on the command line.
    command
        "segment" or "click".
    check
        Checks the options against the CT before the model is loaded; what it returns goes to ``work``.
    work
        ``work(segmenter, ct, checked, progress)`` gives the result.

    Returns
    -------
    Result
        The model's result, after its files are in ``output``.
    """
    started, begun = datetime.now(timezone.utc), time.perf_counter()
    seconds: dict[str, float] = {}
    steps = [("Reading the CT", 0.06), ("Finding nodules", 0.82), ("Writing", 0.12)]
    with Publication(output, NAMES) as publication, ProgressBar(steps) as bar:
        tell = bar.step("Reading the CT")
        # The name is checked first: a typing error should not cost the reading of a CT.
        from LungNoduleSegLib.weights import find

        find(model)
        from LungNoduleSegLib.ct import read_ct

        ct = read_ct(ct_path, series=series)
        checked = check(ct)
        seconds["read"] = time.perf_counter() - begun
        tell(0.6, f"Loading {model}")
        loading = time.perf_counter()
        from LungNoduleSegLib.segmenter import load_segmenter

        segmenter = load_segmenter(model, device=device, engine=engine)
        seconds["load"] = time.perf_counter() - loading
        result = work(segmenter, ct, checked, bar.step("Finding nodules"))
        written = write_outputs(
            publication, result, name=display_name(ct_path), command=command, started=started, seconds=seconds,
            tell=bar.step("Writing"),
        )  # fmt: skip
    present(result, written, time.perf_counter() - begun)
    return result


def present(result: Any, written: Written, seconds: float) -> None:
    """Prints what was found to standard output, and remarks to standard error."""
    for warning in filter(None, [training_sentence(result), *result.warnings]):
        remark(warning)
    console = out()
    if result.nodules:
        console.print(nodule_table(result))
        console.print()
    else:
        console.print(nothing_found(result), markup=False)
    for sentence in written.left_out.values():
        remark(sentence)
    folder = written.paths[0].parent if written.paths else Path()
    names = ", ".join(path.name for path in written.paths)
    err().print(f"{headline(result)} in {seconds:.0f} s with {result.model}.", markup=False)
    err().print(f"Written to {folder}: {names}", markup=False)
    err().print(RESEARCH_USE, style="dim")
