"""One line about a model: when to take it, and what a run takes on this computer."""

from slicer.i18n import tr as _

from . import settings

DEVICE_TITLES = {"cpu": "CPU", "cuda": "CUDA", "mps": "Apple GPU"}  # names of products: the same in every language


def adviceFor(entry, entries):
    """When to take a model, as a sentence or two; why it cannot be taken where it has no weights.

    entry - its CatalogEntry; entries - all of the catalog.
    The card's own `when_to_use` stands before what follows from the cards: which of the models that can be run here
    drew the closest outlines on their test patients.
    """
    if not entry.available:
        return f"{entry.reason} {entry.remedy}"
    said = (entry.card.extra or {}).get("when_to_use")
    if isinstance(said, str) and said.strip():
        return said.strip()
    dice = _testDice(entry)
    if dice is None:
        return _("Its card gives no accuracy on test patients.")
    # Only figures of one and the same set of images can be compared.
    rivals = [other for other in entries if other.available and _testSet(other) == _testSet(entry)]
    best = max(rivals, key=lambda other: (_testDice(other), -other.card.parameters))
    if len(rivals) == 1:
        return _("Dice on its test patients: {dice:.2f}.").format(dice=dice)
    if best.name == entry.name:
        return _("Take it first: of the models here the closest outlines on test patients (Dice {dice:.2f}).").format(
            dice=dice
        )
    return _("For a second opinion beside {model}: Dice {dice:.2f} on test patients, there {best:.2f}.").format(
        model=best.card.title, dice=dice, best=_testDice(best)
    )


def timeFor(entry, device, slices=None):
    """What a run on a whole CT takes on this computer, from earlier runs; else what the card says of other computers.

    device - the choice of the panel: "auto", "cpu", "cuda" or "mps"; slices - of the CT, or None.
    """
    known = settings.timing(entry.name, entry.card.sha256, device)
    if known is None:
        where = DEVICE_TITLES.get(device)
        first = _("Not run on this computer yet.") if where is None else _("Not run on {device} here yet.")
        return " ".join(filter(None, [first.format(device=where), _elsewhere(entry.card)]))
    seconds = known["seconds"] * (slices or 100) / 100
    text = _("About {time} for this CT") if slices else _("About {time} for 100 slices")
    text = text.format(time=duration(seconds))
    if known["peakMb"]:
        text += _(" and {memory:.0f} MB").format(memory=known["peakMb"])
    runs = _("1 run") if known["runs"] == 1 else _("{runs} runs").format(runs=known["runs"])
    about = ", ".join(filter(None, [DEVICE_TITLES.get(known["device"]), runs]))
    return _("{text} on this computer ({about}).").format(text=text, about=about)


def duration(seconds):
    """Seconds as people say them: "0.4 s", "34 s", "2 min 10 s"."""
    if seconds < 9.5:
        return f"{seconds:.1f} s"
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if rest and minutes < 10 else f"{minutes} min"


def _elsewhere(card):
    """The card's own figures: `timings`, a list of {"machine", "seconds", "slices"} and, where known, "peak_mb"."""
    timings = (card.extra or {}).get("timings")
    for entry in timings if isinstance(timings, (list, tuple)) else ():
        try:
            text = _("Measured elsewhere ({machine}): {time} for {slices} slices").format(
                machine=entry["machine"], time=duration(float(entry["seconds"])), slices=int(entry["slices"])
            )
            peak = entry.get("peak_mb")
            return text + (_(", {memory:.0f} MB.").format(memory=float(peak)) if peak else ".")
        except (KeyError, TypeError, ValueError):
            continue
    return ""


def _testDice(entry):
    metric = _metric(entry)
    return None if metric is None else metric["value"]


def _testSet(entry):
    metric = _metric(entry)
    return None if metric is None else (metric.get("n_images"), metric.get("n_patients"))


def _metric(entry):
    metric = entry.card.metrics.get("test", {}).get("dice_pos")
    return metric if hasattr(metric, "get") else None
