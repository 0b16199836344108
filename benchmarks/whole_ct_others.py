"""Our search of a whole CT beside other ways to search it: same CT, same machine, same run, on the CPU.

    python benchmarks/whole_ct_others.py [CT] [--model NAME ...] [--way NAME ...] [--patches 2] [--share 0.1]
                                         [--threads N] [--json FILE]

The ways, each in a process of its own:

ours        the search with the shipped models, measured; in float32 as well where "auto" chooses another format
plain       every 128-px tile of every slice at a stride of 64 by the same networks, unfolded, eager float32; --share of
            the slices is timed and scaled
nnunet      nnU-Net's default "3d_fullres" network at 1.5 mm (128 x 128 x 128, 6 stages, 32 to 320 features), step .5,
            Gaussian; mirroring, which nnU-Net's default adds, would take 8 times as long
retinanet   MONAI's lung nodule detector (ResNet-50 with a feature pyramid, 192 x 192 x 80 at .7 x .7 x 1.25 mm, overlap
            .25)
full        model-1 and model-2 at full width in our engine: the tiles that our search took with their compact versions
            times seconds a tile, and what the search needed besides the network

Of nnunet, retinanet and full --patches windows or batches are timed, after a first one, and scaled to the number that
the CT needs; their weights are made up. Resampling, and what comes after the network, is not counted for them. "In the
lungs' box": the same with only the box of the lungs (and 10 mm around) searched.

Loading the CT and the network is not counted. "Peak MB" is what is needed beyond them, "process MB" what the process
needed in all. Without CT: LIDC-IDRI-0063 where LUNGNODULESEG_DATA names the data, else the public sample.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from support import child, default_cts, machine, report, write_json
from support.full_width import full_width
from support.others import OTHERS, slid
from support.plain import plain, tops
from support.search import searched
from support.windows import resampled_shape, windows

MODELS = ("model-2-compact", "model-1-compact")
WAYS = ("ours", "plain", "nnunet", "retinanet", "full")


def extent(job: dict[str, Any]) -> dict[str, Any]:
    """Shape and spacing of a CT, and the shape of the box around its lungs."""
    from LungNoduleSegLib import read_ct
    from LungNoduleSegLib.ct import lung_mask

    ct = read_ct(Path(job["ct"]))
    lung = lung_mask(ct)
    box = []
    for axis in range(3):
        planes = lung.any(axis=tuple(a for a in range(3) if a != axis)).nonzero()[0]
        box.append(int(planes[-1] - planes[0] + 1))
    return {"shape": list(ct.shape), "spacing_mm": list(ct.spacing_mm), "box": box}


MEASURES = {"ours": searched, "plain": plain, "slid": slid, "full": full_width, "extent": extent}


class Comparison:
    """One CT, row by row."""

    def __init__(self, arguments: argparse.Namespace):
        self.arguments = arguments
        self.ct = arguments.ct or default_cts()[-1]
        self.rows: list[dict[str, Any]] = []
        self.ours: dict[str, dict[str, Any]] = {}
        self.extent = self._measured("extent")

    def _measured(self, measure: str, **job: Any) -> dict[str, Any]:
        same = {"ct": str(self.ct), "threads": self.arguments.threads, "patches": self.arguments.patches}
        found = child(__file__, {"measure": measure, **same, **job})
        print(f"{measure} {job}: {json.dumps(found)}", file=sys.stderr)
        return found

    def _add(self, way: str, run: dict[str, Any], seconds: float, how: str, **more: Any) -> None:
        self.rows.append({"way": way, "seconds": seconds, "how": how, "run": run, **more})

    def search(self, model: str) -> None:
        """Our search, and in float32 too: the others calculate in it."""
        for precision in ("auto", "float32"):
            run = self._measured("ours", model=model, precision=precision)
            self.ours.setdefault(model, run)
            self._add(f"ours, {model}, {run['precision']}", run, run["seconds"], "measured")
            if run["precision"] == "float32":
                break

    def plainly(self, model: str) -> None:
        """Every tile of every slice."""
        run = self._measured("plain", model=model, share=self.arguments.share)
        depth, height, width = self.extent["box"]
        tiles = depth * len(tops(height)) * len(tops(width))
        how = f"{run['tiles']} tiles x {1000 * run['tile_s']:.0f} ms"
        self._add(f"plain, {model}, float32", run, run["seconds"], how, box_s=tiles * run["tile_s"])

    def other(self, name: str) -> None:
        """A network of others in three-dimensional windows."""
        other = OTHERS[name]
        way = f"{other.title}, float32"
        if other.missing:
            self.rows.append({"way": way, "how": f"skipped; {other.missing}"})
            return
        try:
            run = self._measured("slid", other=name)
        except SystemExit as error:  # such as memory that ran out: the other rows are worth keeping
            self.rows.append({"way": way, "how": str(error)})
            return
        box = resampled_shape(self.extent["box"], self.extent["spacing_mm"], other.spacing_mm)
        in_box = len(windows(box, other.window, other.overlap))
        how = f"{run['windows']} windows x {run['window_s']:.1f} s"
        self._add(way, run, run["windows"] * run["window_s"], how, box_s=in_box * run["window_s"], box_windows=in_box)

    def full_width(self, compact: str) -> None:
        """The network that a compact one was made from, through the same gates."""
        if compact not in self.ours:
            self.search(compact)
        ours = self.ours[compact]
        model = compact.removesuffix("-compact")
        run = self._measured("full", model=model, precision=ours["precision"], tiles=self.arguments.tiles)
        besides = ours["seconds"] - ours["network_s"]
        seconds = ours["tiles"] * run["tile_s"] + besides
        how = f"{ours['tiles']} tiles x {1000 * run['tile_s']:.0f} ms + {besides:.1f} s"
        self._add(f"ours, {model} at full width, {run['precision']}", run, seconds, how)

    def table(self) -> tuple[list[dict[str, Any]], list[str]]:
        """Rows as text, and their columns."""
        ratios = {f"/ {model}": run["seconds"] for model, run in self.ours.items()}
        shown = []
        for row in self.rows:
            run, text = row.get("run"), {"way": row["way"], "how": row["how"]}
            if run is not None:
                text["seconds"] = f"{row['seconds']:.0f}"
                text["in the lungs' box, s"] = f"{row['box_s']:.0f}" if "box_s" in row else ""
                text["peak MB"] = f"{run['peak_mb']:.0f}"
                text["process MB"] = "" if run["process_mb"] is None else f"{run['process_mb']:.0f}"
                text |= {name: f"{row['seconds'] / seconds:.1f}" for name, seconds in ratios.items()}
            shown.append(text)
        return shown, ["way", "seconds", "how", "in the lungs' box, s", "peak MB", "process MB", *ratios]


def main() -> None:
    """Measure every way and print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ct", type=Path, nargs="?")
    parser.add_argument("--model", action="append", help=f"compact models; default: {' and '.join(MODELS)}")
    parser.add_argument("--way", action="append", choices=WAYS, help="default: all")
    parser.add_argument("--patches", type=int, default=2, help="windows, or batches of tiles, that are timed")
    parser.add_argument("--tiles", type=int, help="tiles a batch of the full width; default: the engine's")
    parser.add_argument("--share", type=float, default=0.1, help="share of the slices that the plain way is timed on")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there, too")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        job = json.loads(arguments.child)
        print(json.dumps(MEASURES[job["measure"]](job)))
        return
    models, ways = arguments.model or MODELS, arguments.way or WAYS
    where = machine()  # before the load is ours
    comparison = Comparison(arguments)
    for way, step in (("ours", comparison.search), ("plain", comparison.plainly)):
        for model in models if way in ways else ():
            step(model)
    for name in OTHERS:
        if name in ways:
            comparison.other(name)
    for model in models if "full" in ways else ():
        comparison.full_width(model)
    depth, height, width = comparison.extent["shape"]
    k_mm, j_mm, i_mm = comparison.extent["spacing_mm"]
    print(f"\n{comparison.ct.name} ({width} x {height} x {depth}, {i_mm:.2f} x {j_mm:.2f} x {k_mm:.2f} mm)")
    print(f"on {where}\n")
    report(*comparison.table())
    print('\nScaled: every row that is not "measured". Peak MB at full width are those of a batch alone.')
    content = {"ct": comparison.ct.name, "extent": comparison.extent, "rows": comparison.rows}
    write_json(arguments.json, machine=where, patches=arguments.patches, **content)


if __name__ == "__main__":
    main()
