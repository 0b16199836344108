"""The errors that this library raises on purpose; each names what was found, where, and what to do about it."""

from __future__ import annotations

from os import PathLike, fspath


class LungNoduleSegError(Exception):
    """Base of every error of this library. ``exit_code`` is what the command line ends with."""

    exit_code = 1


class InputError(LungNoduleSegError, ValueError):
    """An input that cannot be used.

    Parameters
    ----------
    finding
        What is wrong, with the offending value, as a clause without a full stop.
    path
        File or folder that it was found in.
    remedy
        What the user can do, as a sentence.
    """

    exit_code = 2

    def __init__(self, finding: str, *, path: str | PathLike[str] | None = None, remedy: str | None = None):
        self.finding = finding.rstrip(".")
        self.path = None if path is None else fspath(path)
        self.remedy = remedy
        super().__init__(finding)

    def __str__(self) -> str:
        text = self.finding if self.path is None else f"{self.path}: {self.finding}"
        return f"{text}." if not self.remedy else f"{text}. {self.remedy}"

    def __reduce__(self):
        # Keyword-only arguments do not survive the default pickling, and worker processes send errors back pickled.
        return (_rebuild, (type(self), self.finding, self.path, self.remedy))


def _rebuild(kind: type[InputError], finding: str, path: str | None, remedy: str | None) -> InputError:
    return kind(finding, path=path, remedy=remedy)


class WeightsError(InputError):
    """Weights or a model card that are missing, damaged, or do not fit the network."""


class Cancelled(LungNoduleSegError):
    """The caller's ``cancel()`` returned true; nothing was written or changed."""

    exit_code = 130
