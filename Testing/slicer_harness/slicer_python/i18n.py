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
    # As in Slicer, not inspect.stack(): it reads the source of every caller, which takes longer than a panel may.
    return translate(getContext(inspect.currentframe().f_back.f_code.co_filename), text)
