"""Pictures of single cases that were prepared beforehand, from images that may be shown."""

from __future__ import annotations

import json
from pathlib import Path

from LungNoduleSegLib.errors import InputError
from training.report.figures import Picture

CAPTIONS = "captions.json"
_PNG = b"\x89PNG\r\n\x1a\n"


def read_cases(folder: Path) -> list[Picture]:
    """PNG files of a folder by name, with captions from ``captions.json`` ({file name: text}) or from their names.

    Raises
    ------
    InputError
        The folder is absent or holds no PNG, a file is none, or the captions cannot be read or name an absent file.
    """
    if not folder.is_dir():
        raise InputError("is no folder", path=folder, remedy="Give --cases a folder of PNG files.")
    paths = sorted(folder.glob("*.png"))
    if not paths:
        raise InputError("holds no PNG", path=folder, remedy="Draw the cases first, or leave out --cases.")
    captions: dict[str, str] = {}
    if (folder / CAPTIONS).is_file():
        try:
            captions = dict(json.loads((folder / CAPTIONS).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise InputError(f"cannot be read ({error})", path=folder / CAPTIONS) from error
        absent = sorted(set(captions) - {p.name for p in paths})
        if absent:
            raise InputError(f"names {', '.join(absent)}, which is not there", path=folder / CAPTIONS)
    pictures = []
    for path in paths:
        data = path.read_bytes()
        if not data.startswith(_PNG):
            raise InputError("is no PNG", path=path)
        pictures.append(Picture(f"case-{path.name}", captions.get(path.name, path.stem.replace("-", " ")), data))
    return pictures
