"""What the panel keeps for the user, apart from the scene: Slicer's own settings file, keys under "LungNoduleSeg"."""

import json
import statistics
from datetime import datetime

import slicer

GROUP = "LungNoduleSeg"
MOST_RUNS = 10  # of one model on one device; older ones say less about the computer as it is now
MOST_KINDS = 60  # models times devices; more are those of weights that are gone
DEVICES = ("cpu", "cuda", "mps", "auto")


def _read(key, default=""):
    value = slicer.app.userSettings().value(f"{GROUP}/{key}")
    return default if value is None else str(value)


def _write(key, value):
    slicer.app.userSettings().setValue(f"{GROUP}/{key}", value)


def interpreterPath():
    """Path of the Python that runs the networks; empty: Slicer's own."""
    return _read("interpreter")


def setInterpreterPath(path):
    """Keep the path of the Python that runs the networks; empty: Slicer's own."""
    _write("interpreter", str(path))


def lastFolder(kind):
    """The folder that was last chosen for this kind of file ("weights", "export", ...); empty before the first time."""
    return _read(f"lastFolder/{kind}")


def setLastFolder(kind, folder):
    """Keep the folder that was chosen for this kind of file."""
    _write(f"lastFolder/{kind}", str(folder))


def recordTiming(model, sha256, device, slices, seconds, peakMb=None):
    """Keep what a run on the whole of a CT took; runs on a box or of one click are not comparable and not for here.

    model, sha256 - the model's name and the SHA-256 of its weights: other weights are timed anew.
    device - where it ran: "cpu", "cuda" or "mps"; "auto" where that is not known.
    slices - number of slices of the CT.
    seconds, peakMb - duration, and peak memory beyond the CT in MB; None where it is not known.
    """
    if not slices or not seconds or slices < 0 or seconds < 0:
        return
    timings = _timings()
    key = f"{model}|{sha256}|{device}"
    run = {"slices": int(slices), "seconds": float(seconds), "when": datetime.now().isoformat(timespec="seconds")}
    if peakMb:
        run["peakMb"] = float(peakMb)
    runs = [*timings.pop(key, []), run][-MOST_RUNS:]
    timings[key] = runs  # at the end: the kinds in front are those that were not used for longest
    _write("timings", json.dumps(dict(list(timings.items())[-MOST_KINDS:])))


def timing(model, sha256, device="auto"):
    """What earlier runs of a model took on this computer, or None where there was none.

    device - "cpu", "cuda" or "mps"; "auto": whichever the last run was on.
    Returns {"seconds": for 100 slices, the middle of the runs; "peakMb": the highest, or None; "runs": their number;
    "date": of the last one, as "2024-05-31"; "device"}.
    """
    timings = _timings()
    found = {name: timings.get(f"{model}|{sha256}|{name}", []) for name in DEVICES}
    if device == "auto":
        device = max(DEVICES, key=lambda name: found[name][-1]["when"] if found[name] else "")
    runs = found.get(device)
    if not runs:
        return None
    return {
        "seconds": statistics.median(100 * run["seconds"] / run["slices"] for run in runs),
        "peakMb": max((run["peakMb"] for run in runs if "peakMb" in run), default=None),
        "runs": len(runs),
        "date": runs[-1]["when"][:10],
        "device": device,
    }


def _timings():
    """The kept runs by model, weights and device; what is no such thing (an edited settings file) is left out."""
    try:
        kept = json.loads(_read("timings", "{}"))
        return {key: [run for run in runs if _isRun(run)] for key, runs in kept.items()}
    except (ValueError, AttributeError, TypeError):
        return {}


def _isRun(run):
    number = (int, float)
    return (
        isinstance(run, dict)
        and isinstance(run.get("slices"), int)
        and run["slices"] > 0
        and isinstance(run.get("seconds"), number)
        and run["seconds"] > 0
        and isinstance(run.get("when"), str)
        and isinstance(run.get("peakMb", 0.0), number)
    )
