"""Translation as Slicer's ``slicer.i18n``: without translation files every text stays as it is."""

from __future__ import annotations

import inspect
import os


def getContext(sourceFile: str | None) -> str:
    """Context of a source file: its name without folder and suffix."""
    return os.path.splitext(os.path.basename(sourceFile or ""))[0]


def translate(context: str, text: str) -> str:
    """The application's translation of `text`."""
    import slicer

    return slicer.app.translate(context, text)


def tr(text: str) -> str:
    """The translation of `text` in the context of the calling file."""
    return translate(getContext(inspect.stack()[1].filename), text)
