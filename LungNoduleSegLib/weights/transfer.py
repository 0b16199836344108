"""Bring a file from an address into a ``.part`` file, going on where an earlier try ended (RFC 9110, section 14)."""

from __future__ import annotations

import queue
import re
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from time import monotonic, sleep
from typing import Any
from urllib.parse import urlsplit

from LungNoduleSegLib.errors import WeightsError
from LungNoduleSegLib.weights.files import cannot_write, stop_if

TIMEOUT_S = 60.0
"""Longest silence of a server; proxies that scan for viruses answer late."""

PAUSES_S = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Waits between tries that brought nothing; a try that brought something starts the row again."""

UNANSWERED_TRIES = 2
"""Repeated tries of a server that has never answered."""

MOST_TRIES = 200
_BLOCK = 1 << 16
_POLL_S = 0.1
_BUSY = (408, 425, 429, 500, 502, 503, 504)

_OFFLINE = (
    "Check the network and the proxy (environment variables HTTPS_PROXY, HTTP_PROXY, NO_PROXY) and try again, what has "
    "arrived is kept; or get the file on another computer and import it."
)


def fetch(
    url: str,
    part: Path,
    size: int,
    *,
    progress: Callable[[int], None],
    cancel: Callable[[], bool] | None = None,
) -> bool:
    """Bring ``part`` to ``size`` bytes.

    Honours the proxies of the environment and of the system. ``progress(bytes)`` is called as bytes arrive. The content
    is not checked here.

    Returns
    -------
    True when all bytes came from one answer; False when they were put together from several.

    Raises
    ------
    WeightsError
        When the server does not have the file, has one of another size, or cannot be reached.
    Cancelled
        When ``cancel()`` returned true; ``part`` stays, to go on from.
    """
    transfer = _Transfer(url, part, size, progress, cancel)
    failures, restarts = 0, 0
    for _ in range(MOST_TRIES):
        stop_if(cancel)
        have = transfer.arrived()
        if have == size:
            return transfer.whole
        try:
            transfer.once()
        except _RestartError as error:
            part.unlink(missing_ok=True)
            restarts += 1
            if restarts > 1:
                raise WeightsError(str(error), path=url, remedy=_OFFLINE) from None
        except _InterruptedError as error:
            failures = 0 if transfer.arrived() > have else failures
            # A server that has never answered is most likely out of reach: say so soon.
            if failures == (len(PAUSES_S) if transfer.answered else UNANSWERED_TRIES):
                raise WeightsError(str(error), path=url, remedy=_OFFLINE) from None
            _pause(PAUSES_S[failures], cancel)
            failures += 1
    raise WeightsError(f"the connection broke {MOST_TRIES} times", path=url, remedy=_OFFLINE)


class _Transfer:
    """One file on its way; `once` asks the server once and writes what comes."""

    def __init__(
        self, url: str, part: Path, size: int, progress: Callable[[int], None], cancel: Callable[[], bool] | None
    ):
        self.url, self.part, self.size, self.progress, self.cancel = url, part, size, progress, cancel
        self.whole = self.answered = False
        # Made for each download: it reads the proxies when it is made.
        self.opener = urllib.request.build_opener()

    def arrived(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def once(self) -> None:
        have = self.arrived()
        if have > self.size:
            raise _RestartError("more bytes have arrived than the file has")
        # A compressed answer would have other bytes and another length.
        headers = {"Accept-Encoding": "identity", "User-Agent": "LungNoduleSeg"}
        if have:
            headers["Range"] = f"bytes={have}-"
        reader = _Reader(self.opener, urllib.request.Request(self.url, headers=headers))
        reader.start()
        try:
            start = self._start_of(self._next(reader), have)
            self.whole = start == 0
            self._write(reader, start)
        finally:
            reader.stopped.set()

    def _write(self, reader: _Reader, at: int) -> None:
        try:
            with self.part.open("ab" if at else "wb") as handle:
                self.progress(at)
                while block := self._next(reader):
                    at += len(block)
                    if at > self.size:
                        handle.truncate(0)
                        raise self._wrong_size(f"more than {self.size}")
                    handle.write(block)
                    handle.flush()
                    self.progress(at)
        except OSError as error:
            raise cannot_write(self.part, error) from error
        if at < self.size:
            raise _InterruptedError(f"the connection ended after {at} of {self.size} bytes")

    def _start_of(self, answer: Any, have: int) -> int:
        """Offset of the first byte that the server is about to send."""
        status = getattr(answer, "status", None)
        kind = answer.headers.get("Content-Type", "")
        if kind.startswith("text/html"):
            raise WeightsError(
                "the server sent a web page instead of the weights",
                path=self.url,
                remedy="A proxy or the network may ask for a login: open the address in a browser.",
            )
        if status == 206:
            # RFC 9110, 14.4: "bytes first-last/complete", complete may be "*".
            found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", answer.headers.get("Content-Range", "").strip())
            if not found or int(found[1]) != have:
                raise _RestartError("the server sent another part of the file than it was asked for")
            if found[2] not in ("*", str(self.size)):
                raise self._wrong_size(found[2])
            return have
        # 200, or a file address: the whole file, whatever was asked for.
        length = answer.headers.get("Content-Length", "")
        if length.isdigit() and int(length) != self.size:
            raise self._wrong_size(length)
        return 0

    def _next(self, reader: _Reader) -> Any:
        """What the reader has next: the answer first, then blocks of bytes, b"" at the end."""
        while True:
            stop_if(self.cancel)
            try:
                found = reader.found.get(timeout=_POLL_S)
            except queue.Empty:
                continue
            self.answered |= not isinstance(found, (OSError, HTTPException)) or hasattr(found, "code")
            if isinstance(found, Exception):
                raise self._meaning(found) from None
            return found

    def _meaning(self, error: Exception) -> Exception:
        """What a failure means for the download: try again, begin again, or give up with a reason."""
        if isinstance(error, urllib.error.HTTPError):
            error.close()
            if error.code == 416:
                return _RestartError("the server does not have the rest of the file (status 416)")
            if error.code in _BUSY:
                return _InterruptedError(f"the server is busy (status {error.code} {error.reason})")
            remedy = {
                401: "The address asks for a login.",
                403: "The server refuses it.",
                404: "The file is no longer there: update LungNoduleSeg, or import the file.",
                407: "The proxy asks for a login: put it into HTTPS_PROXY as http://user:password@host:port.",
            }
            finding = f"the server answered with status {error.code} {error.reason}"
            return WeightsError(finding, path=self.url, remedy=remedy.get(error.code, _OFFLINE))
        reason = getattr(error, "reason", error)
        if isinstance(reason, ssl.SSLCertVerificationError):
            return WeightsError(
                f"the certificate of {host_of(self.url)} is not trusted ({reason.verify_message})",
                path=self.url,
                remedy="If your network has a certificate of its own, name its file in SSL_CERT_FILE.",
            )
        if isinstance(reason, FileNotFoundError) or self.url.startswith("file:"):
            return WeightsError(f"the file cannot be read ({reason})", path=self.url, remedy="Check the address.")
        return _InterruptedError(f"the server cannot be reached or broke off ({reason})")

    def _wrong_size(self, found: str) -> WeightsError:
        return WeightsError(
            f"the file on the server has {found} bytes, and the card says {self.size}",
            path=self.url,
            remedy="It is not the file of this card: update LungNoduleSeg, or import the right file.",
        )


def host_of(url: str) -> str:
    """The server's name (and port), or "this computer" for a file address."""
    parts = urlsplit(url)
    name = parts.hostname or ""
    return (f"{name}:{parts.port}" if parts.port else name) or "this computer"


class _InterruptedError(Exception):
    """The connection ended early, or could not be made; another try may go on."""


class _RestartError(Exception):
    """What has arrived cannot be continued; another try begins at the first byte."""


class _Reader(threading.Thread):
    """Reads from the network beside, so that a silent server never delays a cancel. It touches no file."""

    def __init__(self, opener: urllib.request.OpenerDirector, request: urllib.request.Request):
        super().__init__(name="LungNoduleSeg download", daemon=True)
        self._opener, self._request = opener, request
        self.found: queue.Queue[Any] = queue.Queue(maxsize=16)
        self.stopped = threading.Event()

    def run(self) -> None:
        try:
            with self._opener.open(self._request, timeout=TIMEOUT_S) as answer:
                self._give(answer)
                # read1 gives what is there; read would wait for a full block and lose it if the connection breaks.
                read = getattr(answer, "read1", answer.read)
                while not self.stopped.is_set():
                    block = read(_BLOCK)
                    self._give(block)
                    if not block:
                        return
        except (OSError, HTTPException, ValueError) as error:  # URLError and timeouts are OSErrors
            self._give(error)

    def _give(self, item: Any) -> None:
        while not self.stopped.is_set():
            try:
                self.found.put(item, timeout=_POLL_S)
                return
            except queue.Full:
                continue


def _pause(seconds: float, cancel: Callable[[], bool] | None) -> None:
    end = monotonic() + seconds
    while (left := end - monotonic()) > 0:
        stop_if(cancel)
        sleep(min(left, _POLL_S))
