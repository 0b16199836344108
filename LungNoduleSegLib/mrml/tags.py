"""A segment's tags, read and written."""

from __future__ import annotations

import vtk


def segment_tag(segment, key: str) -> str:
    """A segment's tag, empty where it has none."""
    value = vtk.reference("")
    return str(value) if segment.GetTag(key, value) else ""


def set_segment_tag(segment, key: str, value: str) -> None:
    """Give a segment's tag a value; an empty one removes the tag. Nothing happens where it has that value already."""
    if segment_tag(segment, key) == value:
        return
    if value:
        segment.SetTag(key, value)
    else:
        segment.RemoveTag(key)
