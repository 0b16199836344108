"""What each part of a card must be: each check raises WeightsError with the key, the value and what was expected."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from LungNoduleSegLib.weights import checks

if TYPE_CHECKING:
    from LungNoduleSegLib.weights.card import Card

_FILE = r"[A-Za-z0-9][A-Za-z0-9._-]{0,119}\.safetensors"
_SHA256 = r"[0-9a-f]{64}"


def check_architecture(data: object) -> None:
    """The parts that this floor needs; `NetworkConfig.from_dict` checks the rest when the network is built."""
    data = checks.mapping(data, "architecture")
    widths = checks.sequence(checks.key(data, "widths", "architecture."), "architecture.widths")
    for width in widths:
        checks.integer(width, "architecture.widths", least=1)
    for name in ("input_slices", "input_px"):
        checks.integer(checks.key(data, name, "architecture."), f"architecture.{name}", least=1)


def check_preprocessing(data: object, architecture: Mapping[str, Any]) -> None:
    """Normalisation, HU in order, and tiles that are those of the architecture."""
    data, at = checks.mapping(data, "preprocessing"), "preprocessing."
    normalisation = checks.mapping(checks.key(data, "normalisation", at), f"{at}normalisation")
    checks.text(checks.key(normalisation, "method", f"{at}normalisation."), f"{at}normalisation.method")
    clip = checks.sequence(checks.key(data, "clip_hu", at), f"{at}clip_hu")
    if len(clip) != 2 or not checks.number(clip[0], f"{at}clip_hu") < checks.number(clip[1], f"{at}clip_hu"):
        checks.refuse(f"{at}clip_hu", "two HU, the lower first", list(clip))
    for name, twin in (("tile_px", "input_px"), ("input_slices", "input_slices")):
        value = checks.integer(checks.key(data, name, at), f"{at}{name}", least=1)
        if value != architecture[twin]:
            checks.refuse(f"{at}{name}", f"`architecture.{twin}` ({architecture[twin]})", value)


def check_postprocessing(data: object) -> None:
    """Thresholds and views within their ranges; a scorer and a reduction that are objects, or null."""
    data, at = checks.mapping(data, "postprocessing"), "postprocessing."
    checks.number(checks.key(data, "mask_threshold", at), f"{at}mask_threshold", low=0, high=1)
    if not 1 <= checks.integer(data.get("crop_views", 1), f"{at}crop_views", least=1) <= 8:
        checks.refuse(f"{at}crop_views", "1 to 8", data["crop_views"])
    checks.number(data.get("coarse_pixel_mm", 0.0), f"{at}coarse_pixel_mm", low=0.0, high=2.0)
    zooms = checks.sequence(data.get("crop_zooms", (1.0,)), f"{at}crop_zooms")
    if 1.0 not in zooms or len(zooms) > 8:
        checks.refuse(f"{at}crop_zooms", "up to 8 magnifications, 1 among them", list(zooms))
    for zoom in zooms:
        checks.number(zoom, f"{at}crop_zooms", low=0.5, high=2.0)
    checks.number(data.get("crop_logit_offset", 0.0), f"{at}crop_logit_offset", low=-10, high=10)
    scorer = checks.key(data, "candidate_scorer", at)
    if scorer is not None:
        checks.mapping(scorer, f"{at}candidate_scorer")
    if data.get("reduction") is not None:
        if scorer is None:
            checks.refuse(f"{at}reduction", "null where `candidate_scorer` is null", data["reduction"])
        reduction = checks.mapping(data["reduction"], f"{at}reduction")
        for name, least in (("strides", 1), ("paddings", 0)):
            for row in checks.sequence(checks.key(reduction, name, f"{at}reduction."), f"{at}reduction.{name}"):
                if len(checks.sequence(row, f"{at}reduction.{name}")) != 3:
                    checks.refuse(f"{at}reduction.{name}", "three numbers a layer", list(row))
                for value in row:
                    checks.integer(value, f"{at}reduction.{name}", least=least)


def check_training(data: object, *, trained: bool) -> None:
    """Text, split, and series that are in one part only; a model with weights names those that it was trained on."""
    data, at = checks.mapping(data, "training"), "training."
    checks.text(checks.key(data, "data", at), f"{at}data", empty=not trained)
    checks.mapping(checks.key(data, "split", at), f"{at}split")
    series = checks.mapping(checks.key(data, "series", at), f"{at}series")
    train = checks.uids(checks.key(series, "train", f"{at}series."), f"{at}series.train")
    validation = checks.uids(checks.key(series, "validation", f"{at}series."), f"{at}series.validation")
    if trained and not train:
        # With no list, every CT would be taken for one that the model never saw.
        checks.refuse(f"{at}series.train", "the list of every series that the weights were trained on", [])
    both = sorted(set(train) & set(validation))
    if both:
        checks.refuse(f"{at}series.validation", "apart from `training.series.train`", both[0])


def check_metrics(data: object) -> None:
    """Finite values inside their intervals, and reliability bins that fit together."""
    for part, metrics in checks.mapping(data, "metrics").items():
        for name, metric in checks.mapping(metrics, f"metrics.{part}").items():
            at = f"metrics.{part}.{name}"
            if not isinstance(metric, Mapping):
                continue  # a remark, or a plain count
            value = checks.number(checks.key(metric, "value", f"{at}."), f"{at}.value")
            if "low" in metric or "high" in metric:
                low = checks.number(checks.key(metric, "low", f"{at}."), f"{at}.low")
                checks.number(checks.key(metric, "high", f"{at}."), f"{at}.high")
                checks.number(value, f"{at}.value", low=low, high=metric["high"])
            if "bins" in metric:
                _check_bins(metric["bins"], f"{at}.bins")


def _check_bins(data: object, at: str) -> None:
    """Reliability bins: raw counts, and the rates of those that are not empty."""
    data = checks.mapping(data, at)
    counts = checks.sequence(checks.key(data, "counts", f"{at}."), f"{at}.counts")
    columns = {}
    for name in ("counts", "positives", "confidence", "observed"):
        columns[name] = checks.sequence(checks.key(data, name, f"{at}."), f"{at}.{name}")
        if len(columns[name]) != len(counts):
            checks.refuse(f"{at}.{name}", f"a list of {len(counts)}, as `counts`", list(columns[name]))
    for count, positives, *rates in zip(*columns.values()):
        checks.integer(count, f"{at}.counts")
        if checks.integer(positives, f"{at}.positives") > count:
            checks.refuse(f"{at}.positives", "at most `counts`", positives)
        for name, rate in zip(("confidence", "observed"), rates):
            if count:
                checks.number(rate, f"{at}.{name}", low=0, high=1)
            elif rate is not None:
                checks.refuse(f"{at}.{name}", "null where a bin is empty", rate)


def check_operating_points(data: object) -> None:
    """Names that are there once, thresholds 0..1, one default."""
    points = checks.sequence(data, "operating_points")
    names = []
    for index, point in enumerate(points):
        at = f"operating_points[{index}]"
        point = checks.mapping(point, at)
        names.append(checks.text(checks.key(point, "name", f"{at}."), f"{at}.name"))
        checks.number(checks.key(point, "threshold", f"{at}."), f"{at}.threshold", low=0, high=1)
        if not isinstance(point.get("default", False), bool):
            checks.refuse(f"{at}.default", "true or false", point["default"])
    if len(set(names)) != len(names):
        checks.refuse("operating_points", "a list with each name once", names)
    defaults = sum(bool(point.get("default")) for point in points)
    if points and defaults != 1:
        checks.refuse("operating_points", "a list with one default", f"{defaults} defaults")


def check_quantisation(data: object) -> None:
    """Four finite numbers a convolution: low and high of its input, low and high of its output."""
    at = "quantisation.ranges"
    ranges = checks.mapping(checks.key(checks.mapping(data, "quantisation"), "ranges", "quantisation."), at)
    for name, values in ranges.items():
        if len(checks.sequence(values, f"{at}.{name}")) != 4:
            checks.refuse(f"{at}.{name}", "four numbers", list(values))
        for low, high in (values[:2], values[2:]):
            checks.number(high, f"{at}.{name}", low=checks.number(low, f"{at}.{name}"))


def check_file(card: Card) -> None:
    """A plain file name with hash and size, or none of the three."""
    if card.url is not None:
        checks.matching(card.url, "url", r"(https?|file)://\S+", "an http, https or file address")
    if card.how_to_get is not None:
        checks.text(card.how_to_get, "how_to_get")
    if card.file is None:
        for name in ("sha256", "size_bytes", "url"):
            if getattr(card, name) is not None:
                checks.refuse(name, "null where `file` is null", getattr(card, name))
        return
    # A plain name: weights lie beside their card, and a card must not reach out of its folder.
    checks.matching(card.file, "file", _FILE, "the plain name of a .safetensors file")
    checks.matching(card.sha256, "sha256", _SHA256, "64 lower-case hexadecimal digits")
    checks.integer(card.size_bytes, "size_bytes", least=1)
