"""Where weights lie: those that ship with the program, and the user's own folder."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from LungNoduleSegLib.errors import WeightsError

ENVIRONMENT = "LUNGNODULESEG_WEIGHTS"
"""Environment variable that names the user's folder."""


def shipped_folder() -> Path | None:
    """Folder with the weights that came with the program: inside the package (wheel, Slicer), else the checkout's."""
    package = Path(__file__).resolve().parents[1]
    for root in (package, package.parent):
        folder = root / "Resources" / "Weights"
        if folder.is_dir():
            return folder
    return None


def user_folder(*, create: bool = False) -> Path:
    """Folder for downloaded and imported weights: ``LUNGNODULESEG_WEIGHTS``, else the platform's cache of the user.

    With ``create`` it exists afterwards, so that it can be opened in a file manager; WeightsError if that fails.
    """
    named = os.environ.get(ENVIRONMENT)
    folder = Path(named).expanduser().absolute() if named else _cache() / "lungnoduleseg" / "weights"
    if create:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WeightsError(
                f"the folder for weights cannot be made ({error.strerror or error})",
                path=folder,
                remedy=f"Name another one in the environment variable {ENVIRONMENT}.",
            ) from error
    return folder


def _cache() -> Path:
    if sys.platform == "win32" and os.environ.get("LOCALAPPDATA"):
        return Path(os.environ["LOCALAPPDATA"])
    named = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if sys.platform not in ("win32", "darwin") and named.is_absolute():
        return named
    try:
        home = Path.home()
    except RuntimeError:
        raise WeightsError(
            "the home folder of the user is not known",
            remedy=f"Name a folder for weights in the environment variable {ENVIRONMENT}.",
        ) from None
    return home / {"win32": "AppData/Local", "darwin": "Library/Caches"}.get(sys.platform, ".cache")
