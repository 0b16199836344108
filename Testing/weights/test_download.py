"""Downloads from a server on the loopback address: asked for, resumed, verified, whole or not at all."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from LungNoduleSegLib.errors import Cancelled, WeightsError
from LungNoduleSegLib.weights import Card, CatalogEntry, download, find, load_state, transfer
from Testing.weights.samples import make_model, tiny_state
from Testing.weights.server import Server


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("content")
    return (folder / make_model(folder).file).read_bytes()


@pytest.fixture
def offer(shipped: Path, own: Path) -> Callable[..., CatalogEntry]:
    """Ships the card of the tiny model, without its weights, with an address."""

    def place(url: str, **changes) -> CatalogEntry:
        make_model(shipped, url=None, **changes)
        data = Card.read(shipped / "tiny.json").to_dict() | {"url": url}
        Card.from_dict(data).write(shipped / "tiny.json")
        (shipped / "tiny.safetensors").unlink()
        return find("tiny")

    return place


def yes(question: str) -> bool:
    return True


def files(folder: Path) -> list[str]:
    """Names in a folder, without the lock."""
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".lock")


def part_in(own: Path, content: bytes) -> Path:
    """The file in which an unfinished download of the tiny model lies."""
    import hashlib

    own.mkdir(exist_ok=True)
    return own / f".tiny-0.1.0.{hashlib.sha256(content).hexdigest()[:12]}.part"


def assert_complete(own: Path, content: bytes, entry: CatalogEntry) -> None:
    assert files(own) == ["tiny-0.1.0.json", "tiny-0.1.0.safetensors"]
    assert (own / "tiny-0.1.0.safetensors").read_bytes() == content
    assert entry.available
    assert find("tiny") == CatalogEntry(entry.card, entry.card_path, entry.path, None, False, find("tiny").hides)
    assert set(load_state(find("tiny"))) == set(tiny_state())


def test_download_after_asking(serve, offer, own: Path, content: bytes):
    server: Server = serve(content)
    entry = offer(server.url)
    assert entry.downloadable
    assert not entry.available
    questions, reports = [], []

    def ask(question: str) -> bool:
        questions.append(question)
        assert not server.behaviour.seen
        assert not own.exists()
        return True

    done = download(entry, ask, lambda fraction, message: reports.append((fraction, message)))
    assert_complete(own, content, done)
    (question,) = questions
    for said in ("tiny 0.1.0", "0.0 MB", server.address.removeprefix("http://"), "Apache-2.0", str(own)):
        assert said in question
    fractions = [fraction for fraction, _ in reports]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert all(0 <= fraction <= 1 and message for fraction, message in reports)
    assert server.behaviour.asked_ranges == [None]


def test_question_gives_the_size_in_megabytes(offer, own: Path):
    entry = offer("https://weights.example.org/tiny.safetensors")
    card = entry.card.with_file(entry.card.file, entry.card.sha256, 231_294_082)
    questions = []
    with pytest.raises(Cancelled):
        download(CatalogEntry(card, entry.card_path, None, "away", True), lambda q: questions.append(q))
    assert "(231.3 MB) from weights.example.org into" in questions[0]


@pytest.mark.parametrize("answer", [False, None, 1, "yes"])
def test_no_other_answer_than_true_downloads(serve, offer, own: Path, content: bytes, answer: object):
    server = serve(content)
    with pytest.raises(Cancelled):
        download(offer(server.url), lambda question: answer)
    assert not server.behaviour.seen
    assert not own.exists()


def test_weights_that_are_there_are_not_asked_for(serve, offer, own: Path, content: bytes):
    server = serve(content)
    download(offer(server.url), yes)
    again = download(find("tiny"), lambda question: pytest.fail("asked"))
    assert again == find("tiny")
    assert len(server.behaviour.seen) == 1


@pytest.mark.parametrize("place", ["shipped", "own"])
def test_damaged_weights_are_downloaded_again(serve, offer, shipped: Path, own: Path, content: bytes, place: str):
    server = serve(content)
    offer(server.url)
    damaged = content[:-1] + bytes([content[-1] ^ 1])
    if place == "own":
        own.mkdir()
        Card.read(shipped / "tiny.json").write(own / "tiny.json")
    ((shipped if place == "shipped" else own) / "tiny.safetensors").write_bytes(damaged)
    with pytest.raises(WeightsError, match="Download the weights again"):
        load_state(find("tiny"))
    load_state(download(find("tiny"), yes))
    load_state(find("tiny"))


def test_model_without_address_says_how_to_get_it(shipped: Path, own: Path):
    make_model(shipped, how_to_get="Train it.")
    (shipped / "tiny.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"tiny cannot be downloaded\. Train it\."):
        download(find("tiny"), lambda question: pytest.fail("asked"))


def test_cut_connection_goes_on_where_it_ended(serve, offer, own: Path, content: bytes):
    server = serve(content, cut_after=[1000, 500])
    assert_complete(own, content, download(offer(server.url), yes))
    assert server.behaviour.asked_ranges == [None, "bytes=1000-", "bytes=1500-"]


def test_cut_without_a_length_goes_on_too(serve, offer, own: Path, content: bytes):
    server = serve(content, cut_after=[1000], length=False)
    assert_complete(own, content, download(offer(server.url), yes))
    assert server.behaviour.asked_ranges == [None, "bytes=1000-"]


def test_earlier_part_is_continued(serve, offer, own: Path, content: bytes):
    server = serve(content)
    entry = offer(server.url)
    part_in(own, content).write_bytes(content[:700])
    assert_complete(own, content, download(entry, yes))
    assert server.behaviour.asked_ranges == ["bytes=700-"]


def test_complete_part_needs_no_server(offer, own: Path, content: bytes):
    entry = offer("http://127.0.0.1:9/tiny.safetensors")
    part_in(own, content).write_bytes(content)
    assert_complete(own, content, download(entry, yes))


def test_server_that_ignores_ranges(serve, offer, own: Path, content: bytes):
    server = serve(content, ranges=False)
    entry = offer(server.url)
    part_in(own, content).write_bytes(content[:700])
    assert_complete(own, content, download(entry, yes))
    assert server.behaviour.asked_ranges == ["bytes=700-"]


def test_server_that_ignores_ranges_and_always_cuts(serve, offer, own: Path, content: bytes):
    server = serve(content, ranges=False, cut_after=[1000] * 50)
    with pytest.raises(WeightsError, match=f"ended after 1000 of {len(content)} bytes"):
        download(offer(server.url), yes)
    assert len(server.behaviour.seen) == 1 + len(transfer.PAUSES_S)
    assert files(own) == [part_in(own, content).name]


def test_damaged_part_is_fetched_again_from_the_start(serve, offer, own: Path, content: bytes):
    server = serve(content)
    entry = offer(server.url)
    part_in(own, content).write_bytes(b"?" * 700)
    assert_complete(own, content, download(entry, yes))
    assert server.behaviour.asked_ranges == ["bytes=700-", None]


def test_file_that_changes_between_two_answers(serve, offer, own: Path, content: bytes):
    server = serve(b"?" * len(content), cut_after=[1000])
    entry = offer(server.url)

    def progress(fraction: float, message: str) -> None:
        server.behaviour.content = content  # from the second answer on

    assert_complete(own, content, download(entry, yes, progress))
    assert server.behaviour.asked_ranges == [None, "bytes=1000-", None]


def test_part_longer_than_the_file_begins_again(serve, offer, own: Path, content: bytes):
    server = serve(content)
    entry = offer(server.url)
    part_in(own, content).write_bytes(content + b"more")
    assert_complete(own, content, download(entry, yes))
    assert server.behaviour.asked_ranges == [None]


def test_status_416_begins_again(serve, offer, own: Path, content: bytes):
    server = serve(content, statuses=[416])
    entry = offer(server.url)
    part_in(own, content).write_bytes(content[:700])
    assert_complete(own, content, download(entry, yes))
    assert server.behaviour.asked_ranges == ["bytes=700-", None]


def test_status_416_for_ever_ends(serve, offer, own: Path, content: bytes):
    server = serve(content, statuses=[416] * 9)
    with pytest.raises(WeightsError, match="416"):
        download(offer(server.url), yes)
    assert len(server.behaviour.seen) == 2


def test_wrong_part_of_the_file_begins_again(serve, offer, own: Path, content: bytes):
    server = serve(content, content_range=f"bytes 0-{len(content) - 1}/{len(content)}")
    entry = offer(server.url)
    part_in(own, content).write_bytes(content[:700])
    assert_complete(own, content, download(entry, yes))
    assert server.behaviour.asked_ranges == ["bytes=700-", None]


def test_busy_server_is_asked_again(serve, offer, own: Path, content: bytes):
    server = serve(content, statuses=[503, 429, None])
    assert_complete(own, content, download(offer(server.url), yes))
    assert len(server.behaviour.seen) == 3


@pytest.mark.parametrize(("status", "said"), [(404, "no longer there"), (403, "refuses"), (407, "proxy asks")])
def test_refusal_is_told_at_once(serve, offer, own: Path, content: bytes, status: int, said: str):
    server = serve(content, statuses=[status] * 9)
    with pytest.raises(WeightsError, match=f"status {status}.*{said}") as caught:
        download(offer(server.url), yes)
    assert caught.value.path == server.url
    assert len(server.behaviour.seen) == 1


def test_wrong_content_is_refused_and_deleted(serve, offer, own: Path, content: bytes):
    server = serve(content[:-1] + b"?")
    with pytest.raises(WeightsError, match=r"not the one of the card: SHA-256 [0-9a-f]{64}"):
        download(offer(server.url), yes)
    assert files(own) == []
    assert not find("tiny").available


@pytest.mark.parametrize("length", [True, False])
def test_content_of_another_size_is_refused(serve, offer, own: Path, content: bytes, length: bool):
    server = serve(content + b"more", length=length)
    with pytest.raises(WeightsError, match=f"bytes, and the card says {len(content)}"):
        download(offer(server.url), yes)
    assert not [name for name in files(own) if name.endswith(".safetensors")]


def test_changed_size_is_seen_before_the_rest_is_fetched(serve, offer, own: Path, content: bytes):
    server = serve(content + b"more")
    entry = offer(server.url)
    part_in(own, content).write_bytes(content[:700])
    with pytest.raises(WeightsError, match=f"has {len(content) + 4} bytes, and the card says {len(content)}"):
        download(entry, yes)
    assert part_in(own, content).stat().st_size == 700


def test_login_page_of_a_network_is_recognised(serve, offer, own: Path, content: bytes):
    server = serve(b"<html>Please log in</html>", content_type="text/html; charset=utf-8")
    with pytest.raises(WeightsError, match=r"web page.*login"):
        download(offer(server.url), yes)


def test_unreachable_server_is_told_soon(serve, offer, own: Path, content: bytes):
    server = serve(content)
    entry = offer(server.url)
    server.close()
    with pytest.raises(WeightsError, match=r"cannot be reached.*HTTPS_PROXY.*import it"):
        download(entry, yes)


def test_cancel_keeps_the_part_and_the_next_call_goes_on(serve, offer, own: Path, content: bytes):
    server = serve(content, cut_after=[1200, None], stall=threading.Event())
    entry = offer(server.url)
    part = part_in(own, content)
    # The server is silent after 1200 bytes, with the connection open: a cancel must not wait for it.
    with pytest.raises(Cancelled):
        download(entry, yes, cancel=lambda: part.exists() and part.stat().st_size == 1200)
    assert part.read_bytes() == content[:1200]
    server.behaviour.stall.set()
    assert_complete(own, content, download(entry, yes))
    assert server.behaviour.asked_ranges == [None, "bytes=1200-"]


def test_cancel_before_the_first_byte(serve, offer, own: Path, content: bytes):
    server = serve(content)
    with pytest.raises(Cancelled):
        download(offer(server.url), yes, cancel=lambda: True)
    assert not server.behaviour.seen


def test_proxy_of_the_environment_is_used(serve, offer, own: Path, content: bytes, monkeypatch: pytest.MonkeyPatch):
    proxy = serve(content, cut_after=[900])
    monkeypatch.setenv("http_proxy", proxy.address)
    url = "http://weights.invalid/models/tiny.safetensors"  # RFC 2606: such a name never resolves
    assert_complete(own, content, download(offer(url), yes))
    assert proxy.behaviour.seen == [(url, None), (url, "bytes=900-")]


def test_no_proxy_is_honoured(serve, offer, own: Path, content: bytes, monkeypatch: pytest.MonkeyPatch):
    proxy, server = serve(b"from the proxy"), serve(content)
    monkeypatch.setenv("http_proxy", proxy.address)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert_complete(own, content, download(offer(server.url), yes))
    assert not proxy.behaviour.seen


def test_file_address(offer, own: Path, content: bytes, tmp_path: Path):
    source = tmp_path / "with space.safetensors"
    source.write_bytes(content)
    entry = offer(source.as_uri())
    questions = []
    done = download(entry, lambda question: questions.append(question) is None)
    assert_complete(own, content, done)
    assert "from this computer" in questions[0]


def test_file_address_of_a_file_that_is_not_there(offer, own: Path, tmp_path: Path):
    with pytest.raises(WeightsError, match="cannot be read"):
        download(offer((tmp_path / "none.safetensors").as_uri()), yes)


def test_no_space_is_told_before_anything_is_fetched(serve, offer, own: Path, content: bytes, monkeypatch):
    server = serve(content)
    entry = offer(server.url)
    monkeypatch.setattr("shutil.disk_usage", lambda folder: type("Usage", (), {"free": 10})())
    with pytest.raises(WeightsError, match=r"MB are needed and 0\.0 MB are free"):
        download(entry, yes)
    assert not server.behaviour.seen


def test_old_weights_stay_while_a_new_version_is_fetched(serve, offer, shipped: Path, own: Path, content: bytes):
    make_model(own, version="0.0.9", seed=3)
    server = serve(content[:-1] + b"?")
    assert find("tiny").card.version == "0.0.9"
    offer(server.url)
    entry = CatalogEntry(Card.read(shipped / "tiny.json"), shipped / "tiny.json", None, "away", True)
    with pytest.raises(WeightsError):
        download(entry, yes)
    assert find("tiny").card.version == "0.0.9"
    server.behaviour.content = content
    download(entry, yes)
    assert find("tiny").card.version == "0.1.0"


_DOWNLOAD = """
import sys
from LungNoduleSegLib.weights import Card, CatalogEntry, download, load_state
from pathlib import Path
path = Path(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
done = download(CatalogEntry(Card.read(path), path, None, "away", True), lambda question: True)
print(len(load_state(done)), flush=True)
"""


def test_two_processes_at_once(serve, offer, shipped: Path, own: Path, content: bytes):
    server = serve(content, cut_after=[400, 400, 400])
    offer(server.url)
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", _DOWNLOAD, str(shipped / "tiny.json")]
    processes = [
        subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        output, _ = process.communicate(timeout=60)
        assert (process.returncode, output) == (0, "6\n")
    assert_complete(own, content, find("tiny"))
    # One of them fetched every byte once; the other waited for it.
    assert server.behaviour.asked_ranges == [None, "bytes=400-", "bytes=800-", "bytes=1200-"]


def test_waiting_for_another_process_can_be_cancelled(serve, offer, own: Path, content: bytes):
    fcntl = pytest.importorskip("fcntl", reason="the other process is played by a lock of the POSIX kind")
    server = serve(content)
    entry = offer(server.url)
    own.mkdir()
    messages: list[str] = []
    with (own / ".tiny-0.1.0.lock").open("ab") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        with pytest.raises(Cancelled):
            download(entry, yes, lambda fraction, message: messages.append(message), cancel=lambda: bool(messages))
    assert "waiting" in messages[0]
    assert not server.behaviour.seen


def test_without_locks_each_process_has_a_part_of_its_own(
    serve, offer, own: Path, content: bytes, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("LungNoduleSegLib.weights.files._try_lock", lambda descriptor: None)
    server = serve(content, statuses=[404, None])
    entry = offer(server.url)
    part_in(own, content).write_bytes(content[:700])
    with pytest.raises(WeightsError):
        download(entry, yes)
    download(entry, yes)
    assert server.behaviour.asked_ranges == [None, None]
    assert (own / "tiny-0.1.0.safetensors").read_bytes() == content
