"""The card of a model, for people: what it is, what it was trained on, how well it does and what it misses."""

from collections.abc import Mapping
from html import escape

import qt
from slicer.i18n import tr as _


class ModelCardDialog:
    """A window that shows a card; it does not hold up the application."""

    def __init__(self, parent):
        self.dialog = qt.QDialog(parent)
        self.dialog.objectName = "ModelCardDialog"
        layout = qt.QVBoxLayout(self.dialog)
        self.browser = qt.QTextBrowser()
        self.browser.objectName = "cardBrowser"
        self.browser.toolTip = _("What is known about the model. Text can be selected and copied.")
        layout.addWidget(self.browser)
        self.closeButton = qt.QPushButton(_("Close"))
        self.closeButton.objectName = "closeButton"
        self.closeButton.toolTip = _("Close the card.")
        self.closeButton.connect("clicked(bool)", self.close)
        layout.addWidget(self.closeButton)
        self.dialog.resize(620, 640)

    def show(self, entry):
        """Show the card of a CatalogEntry."""
        self.dialog.windowTitle = _("Card of {model}").format(model=entry.card.title)
        self.browser.setHtml(cardHtml(entry))
        self.dialog.show()
        self.dialog.activateWindow()

    def close(self):
        self.dialog.hide()


def cardHtml(entry):
    """The card of a CatalogEntry as HTML; what the card does not say is left out."""
    card = entry.card
    parts = [
        f"<h2>{escape(card.title)}</h2>",
        _paragraph(card.summary),
        f"<p><b>{escape(card.intended_use)}</b></p>",
        _facts(entry),
        _section(_("Data and split"), _training(card)),
        _section(_("Accuracy"), _metrics(card)),
        _section(_("Operating points"), _operatingPoints(card)),
        _section(_("What it misses"), _list(_misses(card))),
    ]
    return "\n".join(filter(None, parts))


def _facts(entry):
    card = entry.card
    rows = [
        (_("Name"), card.name),
        (_("Version"), card.version),
        (_("Licence"), card.licence),
        (_("Parameters"), f"{card.parameters / 1e6:.2f} {_('million')}"),
        (_("File"), str(entry.path or card.file or "")),
        (_("Size"), "" if card.size_bytes is None else f"{card.size_bytes / 1e6:.1f} MB"),
        (_("SHA-256"), card.sha256),
        (_("Weights"), " ".join(filter(None, [entry.reason, None if entry.available else entry.remedy]))),
        (_("Source"), card.url),
    ]
    return _table(None, [[f"<b>{escape(name)}</b>", escape(str(value))] for name, value in rows if value])


def _training(card):
    training = card.training
    series, titles = training["series"], _splitTitles()
    rows = [
        (_("Data"), training.get("data")),
        (_("CT series"), _counts(series)),
        *((titles.get(key) or _plain(key), _words(value)) for key, value in training.get("split", {}).items()),
    ]
    table = [[f"<b>{escape(title)}</b>", escape(value)] for title, value in rows if value]
    return _table(None, table) + _list(_texts(training.get("remarks")))


def _counts(series):
    train, validation = len(series["train"]), len(series["validation"])
    if not train:
        return ""
    return _("{train} trained on, {validation} to choose the state of training").format(
        train=f"{train:,}", validation=f"{validation:,}"
    )


def _splitTitles():
    return {
        "unit": _("Split by"),
        "rule": _("Rule of the split"),
        "test": _("Test part"),
        "validation": _("Validation part"),
        "train": _("Training part"),
        "always_train": _("Always in training"),
        "never_used": _("In no part"),
    }


def _metrics(card):
    """A row a metric, a column a set; beside them how well one reader agrees with the others."""
    readers = card.metrics.get("reader_agreement", {})
    others = ("reader_agreement", "candidates")
    sets = {name: values for name, values in card.metrics.items() if name not in others and values}
    names = dict.fromkeys(name for values in sets.values() for name, value in values.items() if _isMetric(value))
    if not names:
        return ""
    agreement = {name: value for name, value in readers.items() if isinstance(value, (int, float))}
    head = [_("95 % intervals in brackets"), *(_setTitle(name, values) for name, values in sets.items())]
    if agreement:
        head.append(_("one reader"))
    rows = []
    for name in sorted(names, key=_rank):
        cells = [escape(_metricTitle(name, card)), *(_value(values.get(name)) for values in sets.values())]
        if agreement:
            cells.append(_number(agreement.get(name)))
        rows.append(cells)
    what = readers.get("what")
    return _table(head, rows) + (_paragraph(_("One reader: {what}.").format(what=what)) if agreement and what else "")


def _rank(name):
    order = ["dice_pos", "iou_pos", "share_iou_over_half"]
    return order.index(name) if name in order else len(order)


def _setTitle(name, values):
    title = {"test": _("test patients"), "validation": _("validation patients")}.get(name) or _plain(name)
    first = next((value for value in values.values() if _isMetric(value)), {})
    images, patients = first.get("n_images"), first.get("n_patients")
    return title if patients is None or images is None else f"{title} ({patients:,}; {images:,} {_('slices')})"


def _metricTitle(name, card):
    if name == "dice_pos":
        return _("Dice, slices with a nodule")
    if name == "iou_pos":
        return _("IoU, slices with a nodule")
    if name == "share_iou_over_half":
        return _("Share of slices with IoU of at least 0.5")
    if name == "calibration":
        return _("Calibration error of the pixels (0 is best)")
    readers, area = _readersOf(name), _areaOf(name)
    if readers is not None:
        return _("IoU, {nodules}").format(nodules=_byReaders(readers))
    if area is not None:
        return _("IoU, {outlines}").format(outlines=_byArea(area, card))
    return _plain(name)


def _readersOf(name):
    """Numbers of readers of ``iou_pos_readers_3`` or ``iou_pos_readers_3_4``, else None."""
    numbers = name.removeprefix("iou_pos_readers_").split("_")
    fits = name.startswith("iou_pos_readers_") and all(number.isdigit() for number in numbers)
    return [int(number) for number in numbers] if fits else None


def _areaOf(name):
    """Smallest and largest area of ``iou_pos_px_9_30``, else None."""
    numbers = name.removeprefix("iou_pos_px_").split("_")
    fits = name.startswith("iou_pos_px_") and len(numbers) == 2 and all(number.isdigit() for number in numbers)
    return (int(numbers[0]), int(numbers[1])) if fits else None


def _byReaders(readers):
    if readers == [1]:
        return _("nodules that 1 reader outlined")
    if len(readers) == 1:
        return _("nodules that {count} readers outlined").format(count=readers[0])
    return _("nodules that {first} to {last} readers outlined").format(first=readers[0], last=readers[-1])


def _byArea(area, card):
    low, high = area
    if high >= card.preprocessing["tile_px"] ** 2:  # the whole image: no upper end
        return _("outlines of {low} pixels and more").format(low=low)
    return _("outlines of {low} to {high} pixels").format(low=low, high=high)


def _operatingPoints(card):
    points = card.operating_points
    if not points:
        return ""
    head = [_("Name"), _("Threshold"), _("Found of clear nodules"), _("Found of all"), _("False results a scan")]
    rows = []
    for point in points:
        name = escape(point["name"]) + (f" <i>({_('default')})</i>" if point.get("default") else "")
        rows.append([name, f"{point['threshold']:.3f}", _share(point, "found", "nodules"),
                     _share(point, "found_any", "nodules_any"), _falseAScan(point)])  # fmt: skip
    kept = [column for column in range(len(head)) if any(row[column] for row in rows)]
    table = _table([head[column] for column in kept], [[row[column] for column in kept] for row in rows])
    notes = [_("Clear nodules: outlined by three and more readers.")] if 2 in kept else []
    sources = dict.fromkeys(point["source"] for point in points if point.get("source"))
    notes += [_("Measured on {source}.").format(source=source) for source in sources]
    return table + _list(notes)


def _share(point, found, total):
    if not _numbers(point, found, total):
        return ""
    return _("{found} of {total}").format(found=point[found], total=point[total])


def _falseAScan(point):
    if not _numbers(point, "false_positives", "scans") or not point["scans"]:
        return ""
    return f"{point['false_positives'] / point['scans']:.2g}"


def _misses(card):
    """What the figures say about misses, as sentences; the card's own `misses` behind."""
    found = []
    point = card.default_operating_point
    if point and _numbers(point, "found_any", "nodules_any", "scans", "false_positives"):
        sentence = _("At \"{point}\" it missed {missed} of {total} outlined nodules of {scans} scans, and showed "
                     "{false} places that are none.")  # fmt: skip
        found.append(
            sentence.format(
                point=point["name"],
                missed=point["nodules_any"] - point["found_any"],
                total=point["nodules_any"],
                scans=point["scans"],
                false=point["false_positives"],
            )
        )
    test = card.metrics.get("test", {})
    for kindOf, words in ((_readersOf, _byReaders), (_areaOf, lambda area: _byArea(area, card))):
        values = {name: v["value"] for name, v in test.items() if _isMetric(v) and kindOf(name) is not None}
        if len(values) > 1:
            worst = min(values, key=values.get)
            found.append(
                _("Worst on {what}: IoU {value:.3f} on test patients.").format(
                    what=words(kindOf(worst)), value=values[worst]
                )
            )
    return found + _texts((card.extra or {}).get("misses"))


def _isMetric(value):
    return isinstance(value, Mapping) and isinstance(value.get("value"), (int, float))


def _numbers(point, *names):
    return all(isinstance(point.get(name), int) for name in names)


def _value(metric):
    if not _isMetric(metric):
        return ""
    text = _number(metric["value"])
    if "low" in metric and "high" in metric:
        text += f" [{metric['low']:.3f}, {metric['high']:.3f}]"
    return text


def _number(value):
    return "" if value is None else f"{value:.3f}"


def _plain(key):
    return key.replace("_", " ").capitalize()


def _words(value):
    """A value of the card's JSON in one line."""
    if isinstance(value, Mapping):
        return "; ".join(f"{_plain(key)}: {_words(inner)}" for key, inner in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(_words(inner) for inner in value)
    return "" if value is None else str(value)


def _texts(value):
    """Sentences of a card: one, or a list of them."""
    values = [value] if isinstance(value, str) else value if isinstance(value, (list, tuple)) else []
    return [text for text in values if isinstance(text, str) and text.strip()]


def _paragraph(text):
    return f"<p>{escape(text)}</p>" if text else ""


def _list(sentences):
    return "<ul>" + "".join(f"<li>{escape(text)}</li>" for text in sentences) + "</ul>" if sentences else ""


def _section(title, body):
    return f"<h3>{escape(title)}</h3>{body}" if body else ""


def _table(head, rows):
    """Cells are HTML already; the head is text."""
    if not rows:
        return ""
    lines = ["<tr>" + "".join(f'<th align="left">{escape(cell)}</th>' for cell in head) + "</tr>"] if head else []
    lines += ["<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows]
    return '<table cellspacing="0" cellpadding="3">' + "".join(lines) + "</table>"
