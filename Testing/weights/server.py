"""An HTTP server on the loopback address that behaves well, badly, or as a proxy."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Behaviour:
    """What the server sends, and how.

    Parameters
    ----------
    content
        The file.
    ranges
        False: ``Range`` is ignored, and the whole file comes.
    cut_after
        For each answer in turn, the number of bytes after which the connection is cut; None: not cut.
    statuses
        For each answer in turn, a status to send instead; None: as it should be.
    content_type, length, content_range
        Sent instead of the right ones.
    """

    content: bytes
    ranges: bool = True
    cut_after: list[int | None] = field(default_factory=list)
    statuses: list[int | None] = field(default_factory=list)
    content_type: str = "application/octet-stream"
    length: bool = True
    content_range: str | None = None
    stall: threading.Event | None = None
    seen: list[tuple[str, str | None]] = field(default_factory=list)
    """(path, Range header) of every request."""

    @property
    def asked_ranges(self) -> list[str | None]:
        return [asked for _, asked in self.seen]


class Server:
    """Serves one `Behaviour` in a thread; ``url`` is the file's address."""

    def __init__(self, behaviour: Behaviour):
        self.behaviour = behaviour
        handler = type("Handler", (_Handler,), {"behaviour": behaviour})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def url(self) -> str:
        return f"{self.address}/models/tiny.safetensors"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    behaviour: Behaviour
    protocol_version = "HTTP/1.1"

    def log_message(self, *_) -> None:
        pass

    def do_GET(self) -> None:
        behaviour = self.behaviour
        asked = self.headers.get("Range")
        behaviour.seen.append((self.path, asked))
        self.close_connection = True
        status = behaviour.statuses.pop(0) if behaviour.statuses else None
        if status is not None:
            self.send_error(status)
            return
        start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1]) if asked and behaviour.ranges else 0
        if start >= len(behaviour.content) and start:
            self.send_error(416)
            return
        body = behaviour.content[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Type", behaviour.content_type)
        if start:
            last = len(behaviour.content) - 1
            said = behaviour.content_range or f"bytes {start}-{last}/{len(behaviour.content)}"
            self.send_header("Content-Range", said)
        if behaviour.length:
            self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        cut = behaviour.cut_after.pop(0) if behaviour.cut_after else None
        self.wfile.write(body if cut is None else body[:cut])
        self.wfile.flush()
        if behaviour.stall is not None:
            behaviour.stall.wait(30)
