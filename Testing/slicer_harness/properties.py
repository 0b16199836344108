"""Qt properties of stand-in widgets."""

from __future__ import annotations

from PySide6.QtCore import Property

_CONVERTED = (float, int, bool, str)


def stored(kind, name: str, default, changed: str = "") -> Property:
    """A property that keeps its value, calls ``_on_<name>(value)`` where there is one, and emits `changed`."""
    key = f"_stored_{name}"

    def read(self):
        return self.__dict__.get(key, default)

    def write(self, value) -> None:
        if kind in _CONVERTED:
            value = kind(getattr(value, "value", value))  # an enum of Qt, too
        if key in self.__dict__ and read(self) == value:
            return
        self.__dict__[key] = value
        hook = getattr(type(self), f"_on_{name}", None)
        if hook is not None:
            hook(self, value)
        if changed:
            getattr(self, changed).emit(value)

    return Property(kind, read, write)
