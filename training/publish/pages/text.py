"""The text of a model's page: every number is the card's, or of the figures measured on the whole scan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from LungNoduleSegLib.weights import Card
from training.publish.pages.tables import estimate, number, size, table

Figures = Mapping[str, Any]

ATTRIBUTION = (
    "CT: LIDC-IDRI-0063, The Cancer Imaging Archive, [CC BY 3.0](https://creativecommons.org/licenses/by/3.0/)."
)
CITE = (
    "Cite LungNoduleSeg with the version of the weights, the thesis that the network follows, and the data: "
    "[CITATION.cff](../../CITATION.cff). Attributions: [NOTICE](../../NOTICE)."
)
MADE = "<!-- Written by `python -m training page {name}` from the model's card: change that, not this. -->"


def page(card: Card, scan: Figures | None, pictures: Sequence[str]) -> str:
    """The page as Markdown.

    Parameters
    ----------
    scan
        What `training.publish.pages.scan.measure_scan` gave; of other weights than the card's it is left out.
    pictures
        File names beside the page that are there: ``NAME-reliability.png``, ``NAME-scan.png``.
    """
    measured = scan if scan is not None and scan["sha256"] == card.sha256 else None
    parts = [
        f"# {card.title}\n{MADE.format(name=card.name)}\n\n{card.summary}",
        f"**{card.intended_use}**",
        _facts(card),
        _section("Data", _data(card)),
        _section("What the network sees", _preprocessing(card)),
        _section("On crops with a nodule", _crops(card)),
        _section("Calibration", _calibration(card, f"{card.name}-reliability.png" in pictures)),
        _section("Operating points", _points(card)),
        _section("A whole scan", _scan(card, measured, f"{card.name}-scan.png" in pictures)),
        _section("What it misses", _misses(card, measured)),
        _section("Times", _times(measured)),
        _section("How to cite", CITE),
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def _section(title: str, body: str) -> str:
    return f"## {title}\n{body}" if body else ""


def _facts(card: Card) -> str:
    architecture = card.architecture
    vit = architecture.get("vit")
    rows = [
        ["Name, version", f"`{card.name}` {card.version}"],
        ["Parameters", f"{card.parameters:,}"],
        ["Channels", ", ".join(map(str, architecture["widths"]))],
        ["scSE in", ", ".join(architecture.get("scse") or ["none"])],
        ["Transformer", f"{vit['depth']} blocks, {vit['heads']} heads, {vit['dim']} channels" if vit else "none"],
        ["File", f"`{card.file}`" if card.file else "none"],
        ["Size", f"{card.size_bytes:,} bytes" if card.size_bytes else "n/a"],
        ["SHA-256", f"`{card.sha256}`" if card.sha256 else "n/a"],
        ["Licence", card.licence],
    ]
    return table(["", "value"], rows).replace("---:", "---")


def _data(card: Card) -> str:
    training = card.training
    series, split = training["series"], training["split"]
    lines = [
        f"{training['data']}.",
        f"{len(series['train']):,} CT series were trained on, {len(series['validation']):,} others served to choose; "
        f"the [card](../../Resources/Weights/{card.name}.json) names every one.",
    ]
    if "rule" in split:
        sides = ", ".join(f"{part} {split[part]}" for part in ("train", "validation", "test") if part in split)
        lines.append(f"Split by {split.get('unit', 'patient')}: {split['rule']}; {sides}.")
    if split.get("always_train"):
        lines.append(f"Always trained on: {', '.join(split['always_train'])}.")
    if split.get("never_used"):
        lines.append(f"In no part: {', '.join(split['never_used'])}.")
    if training.get("samples"):
        seen = [f"{stage['samples']:,} ({_stage(stage)})" for stage in training.get("earlier", ())]
        seen.append(f"{training['samples']:,} (last run)")
        lines.append(f"Images seen, stage by stage: {', '.join(seen)}.")
    if training.get("chosen"):
        lines.append(f"Weights taken: {training['chosen']}.")
    if mixed := training.get("averaged"):
        lines.append(f"Averaged: {_shares(mixed)}.")
    if card.postprocessing.get("reduction") is not None and (second := training.get("reduction")):
        counts = ", ".join(f"{count:,} x {kind}" for kind, count in second["examples"].items())
        lines.append(
            f"False-positive reduction, a 3D network of {second['parameters']:,} parameters more: {counts}; candidates "
            f"are those of {', '.join(second['runs'])} in scans that each had left out."
        )
    lines += list(training.get("remarks", ()))
    return "\n".join(f"* {line}" for line in lines)


def _stage(stage: Mapping[str, Any]) -> str:
    mixed = stage.get("averaged")
    return f"{stage['run']}, averaged: {_shares(mixed)}" if mixed else stage["run"]


def _shares(mixed: Mapping[str, float]) -> str:
    return ", ".join(f"{share:g} of {run}" for run, share in mixed.items())


def _preprocessing(card: Card) -> str:
    before, after = card.preprocessing, card.postprocessing
    rule = before["normalisation"]
    low, high = before["clip_hu"]
    how = ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in rule.items() if name != "method")
    lines = [
        f"{before['input_slices']} neighbouring slices of {before['tile_px']} x {before['tile_px']} pixels at the CT's "
        f"own resolution, HU clipped to {low} .. {high}.",
        f"Each slice normalised on its own: {rule['method']} ({how}).",
        f"Mask where the probability reaches {after['mask_threshold']:g}.",
    ]
    if card.quantisation and "validation" in card.quantisation:
        moved = card.quantisation["validation"]
        lines.append(
            f"In int8, where the CPU has instructions for it: {moved['metric']} {number(moved['int8'])}, beside "
            f"{number(moved['float32'])} in float32."
        )
    views, zooms = after.get("crop_views", 1), after.get("crop_zooms", (1.0,))
    shift = after.get("crop_logit_offset", 0.0)
    zoomed = f" at the magnifications {', '.join(f'{z:g}' for z in zooms)}" if len(zooms) > 1 else ""
    lines.append(
        f"Crops: mean of {views} mirrored and turned view{'s' if views > 1 else ''}{zoomed}"
        + (f", its logit moved by {shift:g}, chosen on the validation patients so that one half is the best threshold"
           if shift else "")
        + "."
    )  # fmt: skip
    return "\n".join(f"* {line}" for line in lines)


def _crops(card: Card) -> str:
    parts = [(part, card.metrics[part]) for part in ("test", "validation") if "iou_pos" in card.metrics.get(part, {})]
    if not parts:
        return ""
    readers = card.metrics.get("reader_agreement", {})
    names = {
        "iou_pos": "IoU (`iou_pos`)", "dice_pos": "Dice (`dice_pos`)",
        "share_iou_over_half": "share with IoU >= .5",
    }  # fmt: skip
    head = ["mean over images", *(f"{part} ({size(m['iou_pos'])})" for part, m in parts)]
    rows = [[title, *(estimate(m.get(name)) for _, m in parts)] for name, title in names.items()]
    if readers:
        head.append("one reader")
        rows = [[*row, number(readers.get(name))] for row, name in zip(rows, names)]
    text = (
        "Images with a nodule of more than 8 pixels (images / patients), threshold one half; patient-level bootstrap "
        "95 % intervals. The crops hold a nodule each: nothing follows about false alarms.\n\n" + table(head, rows)
    )
    if readers.get("what"):
        text += f"\n\nOne reader: {readers['what']}."
    return text + "\n\n" + _groups(parts, card)


def _groups(parts: Sequence[tuple[str, Figures]], card: Card) -> str:
    whole = card.preprocessing["tile_px"] ** 2
    rows = []
    for name in dict.fromkeys(name for _, metrics in parts for name in metrics):
        title = group_title(name, whole)
        if title:
            cells = [(estimate(m.get(name)), size(m[name]) if name in m else "") for _, m in parts]
            rows.append([title, *(f"{value} ({count})" if count else value for value, count in cells)])
    return table(["`iou_pos`", *(part for part, _ in parts)], rows) if rows else ""


def group_title(name: str, whole_px: int) -> str:
    """What a metric is of: readers of the nodule, or pixels of the consensus; "" for another one."""
    if name.startswith("iou_pos_readers_"):
        count = name.removeprefix("iou_pos_readers_").replace("_", " and ")
        return f"nodules of {count} reader{'s' if count != '1' else ''}"
    if name.startswith("iou_pos_px_"):
        low, high = name.removeprefix("iou_pos_px_").split("_")
        return f"{low} pixels and more" if int(high) >= whole_px else f"{low} to {high} pixels"
    return ""


def _calibration(card: Card, picture: bool) -> str:
    texts = []
    for part in ("test", "validation", "candidates"):
        found = card.metrics.get(part, {}).get("calibration")
        if found is None:
            continue
        brier = estimate(found["brier"])
        if part == "candidates":
            texts.append(
                f"**Candidates of whole scans**: calibration error {estimate(found)}, Brier score {brier}, "
                f"{found['candidates']} candidates ({found['nodules']} nodules) of {found['scans']} scans. "
                f"This is the {found['what']}."
            )
        else:
            texts.append(
                f"**Pixels of the {part} patients** ({size(found)} images / patients): calibration error "
                f"{estimate(found)}, Brier score {brier}, {found['pixels']:,} pixels, {found['nodule_pixels']:,} of "
                f"them nodule; {found['nodule_pixels_below']:,} more nodule pixels have a lower probability than "
                f"{found['least_probability']:g}. This is the {found['what']}."
            )
        texts.append(_bins(found["bins"]))
    if not texts:
        return ""
    lead = "Of all that gets a probability of .7, seven in ten should be nodule."
    shown = f"![Share that is nodule against probability]({card.name}-reliability.png)" if picture else ""
    return "\n\n".join(filter(None, [lead, shown, *texts]))


def _bins(bins: Figures) -> str:
    count = len(bins["counts"])
    rows = []
    for n in range(count):
        edges = f"{number(n / count, 1)} to {number((n + 1) / count, 1)}"
        cells = [number(bins["confidence"][n]), number(bins["observed"][n])]
        counts = [f"{bins['positives'][n]:,} of {bins['counts'][n]:,}"]
        rows.append([edges, *cells, *counts, *([f"{bins['findings'][n]:,}"] if "findings" in bins else [])])
    head = ["probability", "mean", "share that is nodule", "raw counts"]
    return table([*head, *(["findings, not judged"] if "findings" in bins else [])], rows)


def _points(card: Card) -> str:
    points = card.operating_points
    if not points:
        return ""
    rows = [
        [
            point["name"] + (" (default)" if point.get("default") else ""),
            number(point["threshold"]),
            _of(point, "found", "nodules"),
            _of(point, "found_any", "nodules_any"),
            f"{point['false_positives']} in {point['scans']} scans" if "scans" in point else "n/a",
        ]
        for point in points
    ]
    head = ["", "threshold", "found, three and more readers", "found, any reader", "false positives"]
    sources = dict.fromkeys(point["source"] for point in points if point.get("source"))
    return "\n\n".join([table(head, rows), *(f"Measured on {source}." for source in sources)])


def _of(point: Figures, found: str, total: str) -> str:
    return f"{point[found]} of {point[total]}" if found in point and total in point else "n/a"


def _scan(card: Card, scan: Figures | None, picture: bool) -> str:
    if scan is None:
        return ""
    rows = [
        [
            f"{n}: {row['words']}",
            str(row["readers"]),
            f"{row['diameter_mm']:.1f}",
            f"yes, {number(row['probability'], 2)}" if row["found"] else "no",
            number(row["dice"], 2) if row["found"] else "",
            number(row["click_dice"], 2),
        ]
        for n, row in enumerate(scan["nodules"], start=1)
    ]
    head = ["nodule, by the readers' ratings", "readers", "mm", "found, with score", "3D Dice", "3D Dice of one click"]
    text = (
        f"{scan['patient']}, {scan['slices']} slices, in no part of the split, at the default threshold "
        f"{number(scan['threshold'])}: {scan['results']} results for {len(rows)} annotated nodules. "
        f"Results that overlap no annotation of any reader: {scan['false_strict']}; of these away from every mark of a "
        f"small finding too: {scan['false_luna16']}. One scan, and decisions of the program were tried on it.\n\n"
    )
    text += table(head, rows)
    if picture:
        text += (
            f"\n\n![The annotated nodules of {scan['patient']}: consensus in white, the model in orange]"
            f"({card.name}-scan.png)\n\n*White: consensus of the readers. Orange: the model, above of the whole scan, "
            f"below of one click in the nodule. {ATTRIBUTION}*"
        )
    return text


def _misses(card: Card, scan: Figures | None) -> str:
    lines = []
    point = card.default_operating_point
    if point and {"found_any", "nodules_any", "false_positives", "scans"} <= set(point):
        lines.append(
            f'At "{point["name"]}" {point["nodules_any"] - point["found_any"]} of {point["nodules_any"]} outlined '
            f"nodules of the {point['scans']} scans that the operating points were chosen on."
        )
    if scan is not None:
        missed = [row for row in scan["nodules"] if not row["found"]]
        named = "; ".join(f"{row['words']}, {row['diameter_mm']:.1f} mm, {_readers(row)}" for row in missed)
        lines.append(
            f"In {scan['patient']} {len(missed)} of {len(scan['nodules'])} nodules"
            + (f": {named} (picture above)." if named else ".")
        )
    test = card.metrics.get("test", {})
    whole = card.preprocessing["tile_px"] ** 2
    groups = {name: metric["value"] for name, metric in test.items() if group_title(name, whole)}
    for kind in ("readers", "px"):
        of_kind = {name: value for name, value in groups.items() if f"_{kind}_" in name}
        if len(of_kind) > 1:
            worst = min(of_kind, key=lambda name: of_kind[name])
            lines.append(
                f"Worst outlines on test patients: {group_title(worst, whole)}, `iou_pos` {number(of_kind[worst])}."
            )
    share = test.get("share_iou_over_half")
    if share:
        lines.append(f"{100 * (1 - share['value']):.0f} % of the test patients' images stay below an IoU of .5.")
    lines += [text for text in (card.extra or {}).get("misses", ()) if isinstance(text, str)]
    return "\n".join(f"* {line}" for line in lines)


def _readers(row: Figures) -> str:
    return f"{row['readers']} reader{'s' if row['readers'] > 1 else ''}"


def _times(scan: Figures | None) -> str:
    times = None if scan is None else scan.get("times")
    if not times:
        return ""
    rows = [
        [row["ct"], str(row["slices"]), row["engine"], f"{row['seconds']:.1f}", str(row["peak_mb"])]
        for row in times["rows"]
    ]
    head = ["CT", "slices", "engine", "seconds, whole CT", "peak MB beyond the CT"]
    return f"On {times['machine']}, `benchmarks/whole_ct.py`:\n\n" + table(head, rows)
