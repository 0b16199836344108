"""Table E: time, parameters, size; counted by building the networks, and measured on the runs."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any

from training.report.cost import MIB, cost
from training.report.layout import TITLES, Findings
from training.report.study_tables import common_notes, scale_words
from training.report.tables import NA, Table, number, printed_number, times
from training.studies.thesis import Printed


def measured(findings: Findings) -> Table:
    """What the runs took, beside the thesis' times (of an A100 MIG slice)."""
    lines, made = findings.lines("E"), []
    for line in lines:
        there = line.thesis or Printed()
        if line.ours is None:
            cells = (line.reason, *["–"] * 5)
        else:
            size = line.ours.mean("size_bytes")
            facts = [run.facts for run in line.ours.runs]
            cells = (
                spread(line.ours.numbers("ms_per_image")), number(line.ours.mean("parameters"), 0),
                NA if size is None else number(size / MIB, 2), number(line.ours.mean("seconds_training"), 0),
                times([f.get("threads") for f in facts]), times([processor(f) for f in facts]),
            )  # fmt: skip
        printed = (
            printed_number(there.milliseconds, 1), printed_number(there.parameters, 0),
            printed_number(there.megabytes, 2),
        )  # fmt: skip
        made.append((line.title, *cells, *printed))
    header = (
        "row", "ms an image", "parameters", "MiB (float32)", "training, s", "threads", "processor",
        "thesis, ms", "thesis, parameters", "thesis, MB",
    )  # fmt: skip
    notes = (
        "Median over the seeds with the least and the most: other work on the machine shows in the spread. Our times "
        "are of the processor named, the thesis' of an A100 slice: compare ratios, not values.",
    )
    title = f"{TITLES['E']} – {scale_words(findings.scale)}"
    return Table(title, header, tuple(made), (*notes, *common_notes(lines, findings.scale)))


def processor(facts: dict[str, Any]) -> str | None:
    """The accelerator that a run was made on, else the CPU's name."""
    device = facts.get("device", "cpu")
    return facts.get("cpu") if device == "cpu" else str(device)


def spread(milliseconds: list[float]) -> str:
    """Median (least to most)."""
    if not milliseconds:
        return NA
    return f"{median(milliseconds):.1f} ({min(milliseconds):.1f} to {max(milliseconds):.1f})"


def counted() -> Table:
    """Parameters and FLOPs of the networks as the thesis describes them, by building them; needs no run."""
    from training.studies.definitions import MODEL_1, MODEL_2, NetworkConfig

    named = {
        "model 1": MODEL_1,
        "model 2 (encoder + bottleneck)": MODEL_2,
        "encoder + decoder": NetworkConfig(scse=("encoder", "decoder")),
        "no scSE, no transformer": NetworkConfig(),
    }
    made = []
    for name, config in named.items():
        found = cost(config)
        made.append(
            (
                name, number(found.called_parameters, 0), number(found.parameters, 0), number(found.mib, 2),
                number(found.flops / 1e9, 1), f"{100 * found.fusion_parameters / found.parameters:.1f} %",
                f"{100 * found.fusion_flops / found.flops:.1f} %", number(found.unfused_parameters, 0),
                number(found.unfused_flops / 1e9, 1),
            )
        )  # fmt: skip
    header = (
        "network", "parameters as torchsummary counts", "all parameters", "MiB (float32)", "GFLOP an image",
        "fusion, of the parameters", "fusion, of the FLOPs", "parameters without fusion", "GFLOP without fusion",
    )  # fmt: skip
    notes = (
        "Counted on the networks at full width and 128 x 128 px; FLOP: 2 x multiply-accumulate. torchsummary leaves "
        "out the class token and the position embedding. Without fusion a 1 x 1 convolution from C to C/2 stands in "
        "its place.",
    )
    return Table("What the full networks cost, counted", header, tuple(made), notes)


def full_width(costs: Sequence[dict[str, Any]]) -> Table:
    """What every network of the studies took at full width, as `study E` measured it."""
    made = [
        (
            facts["title"], number(facts["parameters"], 0), number(facts["mib"], 2), number(facts["gflop"], 1),
            number(facts["ms_per_image"], 0), str(facts["px"]), str(facts["threads"]), processor(facts) or NA,
        )
        for facts in costs
    ]  # fmt: skip
    header = ("network", "parameters", "MiB (float32)", "GFLOP an image", "ms an image", "px", "threads", "processor")
    notes = (
        "Fresh weights in float32, one image at a time, median of a few passes through PyTorch, one network after "
        "another. Other work on the machine shows: differences of some ten percent mean nothing.",
    )
    return Table("What the full networks cost, measured", header, tuple(made), notes)
