"""Fetches a file from the Hugging Face hub, or from whatever HF_ENDPOINT names, and resumes what was begun.

Proxies come from the environment, certificates from the system (SSL_CERT_FILE works): httpx and ssl do that.
"""

from __future__ import annotations

import os
import queue
import re
import ssl
import threading
import time

import httpx

from lsp_server.model.catalogue import HuggingFace
from lsp_server.model.partial import PartFile, Progress, Report, SourceFailed

_DEFAULT_ENDPOINT = "https://huggingface.co"
_CONNECT_S = 3.0
_READ_S = 30.0
_ANSWER_S = 8.0  # for the first byte of an answer: name lookup, every address, redirects
_RETRIES = 5  # in a row, without a byte between them
_RETRY_WAIT_S = 1.0
_STATUS = {
    401: "it is not there, or not without a login",
    403: "the server does not allow it",
    404: "it is not there",
    407: "the proxy wants a login",
    410: "it is no longer there",
    429: "too many requests for now",
}


def fetch(source: HuggingFace, part: PartFile, expected_bytes: int | None, report: Report) -> None:
    """Write all of the file into `part`, going on where the same source stopped.

    expected_bytes: its exact size, None when it is not known.
    Raises SourceFailed when the hub cannot be reached or has something else,
    DownloadError when the disk fails.
    """
    if os.environ.get("HF_HUB_OFFLINE", "").lower() in ("1", "true", "yes", "on"):
        raise SourceFailed("HF_HUB_OFFLINE is set")
    endpoint = os.environ.get("HF_ENDPOINT", "").rstrip("/") or _DEFAULT_ENDPOINT
    url = f"{endpoint}/{source.repo}/resolve/{source.revision}/{source.file}"
    with _client() as client:
        transfer = _Transfer(client, url, part, expected_bytes, report)
        failures = 0
        while True:
            n_before = transfer.n_received
            try:
                transfer.run()
                return
            except httpx.TransportError as error:
                if not transfer.has_answered:
                    raise SourceFailed(f"no connection ({_words(error)})") from error
                failures = failures + 1 if transfer.n_received == n_before else 0
                if failures > _RETRIES:
                    raise SourceFailed(f"the connection broke too often ({_words(error)})") from error
                time.sleep(_RETRY_WAIT_S)
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                raise SourceFailed(_words(error)) from error


class _Transfer:
    """The requests for one file: the first, and those that go on after a broken connection."""

    def __init__(
        self, client: httpx.Client, url: str, part: PartFile, expected_bytes: int | None, report: Report
    ) -> None:
        self.client = client
        self.url = url
        self.part = part
        self.expected_bytes = expected_bytes
        self.report = report
        self.n_received = 0
        self.has_answered = False
        self.is_second_start = False

    def run(self) -> None:
        """One request, up to the end of the file. Raises httpx.TransportError when the stream breaks."""
        noted = self.part.noted(self.url)
        offset = self.part.size if noted else 0
        headers = {"Range": f"bytes={offset}-"} if offset else {}
        etag = noted.get("etag")
        if offset and isinstance(etag, str) and not etag.startswith("W/"):
            headers["If-Range"] = etag
        response = _answer(self.client, self.client.build_request("GET", self.url, headers=headers))
        self.has_answered = True
        try:
            if response.status_code == 416 and offset and not self.is_second_start:
                self._restart(response, offset)
            else:
                self._receive(response, offset)
        finally:
            response.close()

    def _restart(self, response: httpx.Response, offset: int) -> None:
        """Nothing is past `offset` at the server: all of it is here, or what is here is something else."""
        if _total(response) == offset and self.expected_bytes in (None, offset):
            return
        self.is_second_start = True
        self.part.drop()
        self.run()

    def _receive(self, response: httpx.Response, offset: int) -> None:
        if response.status_code == 206:
            total = _total(response)
            if _first(response) != offset:
                raise SourceFailed("the server sent another part than it was asked for")
        elif response.status_code == 200:  # all of it: a first request, a changed file, or no Range
            offset = 0
            length = response.headers.get("Content-Length", "")
            total = int(length) if length.isdigit() else None
        elif response.status_code >= 500:
            raise httpx.ReadError(f"the server answered {response.status_code}")
        else:
            words = _STATUS.get(response.status_code, "the server refused")
            raise SourceFailed(f"{words} ({response.status_code})")
        if self.expected_bytes is not None and total not in (None, self.expected_bytes):
            raise SourceFailed(f"it has {total:,} bytes there, the file we know has {self.expected_bytes:,}")
        total = total or self.expected_bytes
        self.part.note(self.url, etag=response.headers.get("ETag"))
        with self.part.appended(offset) as write:
            for chunk in response.iter_raw():
                offset += len(chunk)
                if total is not None and offset > total:
                    raise SourceFailed(f"the server sent more than {total:,} bytes")
                write(chunk)
                self.n_received += len(chunk)
                self.report(Progress("download", offset, total))
        if total is not None and offset < total:
            raise httpx.ReadError(f"the stream ended at {offset:,} of {total:,} bytes")


def _client() -> httpx.Client:
    return httpx.Client(
        verify=ssl.create_default_context(),
        timeout=httpx.Timeout(_READ_S, connect=_CONNECT_S),
        follow_redirects=True,
        headers={"Accept-Encoding": "identity", "User-Agent": "kruk"},
    )


def _answer(client: httpx.Client, request: httpx.Request) -> httpx.Response:
    """Send `request`, but wait no longer than `_ANSWER_S` for the head of the answer.

    A thread, because neither a name lookup nor the trying of one address after another has a time limit.
    """
    answers: queue.Queue[httpx.Response | BaseException] = queue.Queue()
    is_late = threading.Event()

    def send() -> None:
        try:
            response = client.send(request, stream=True)
        except BaseException as error:  # it belongs to the thread that waits
            answers.put(error)
        else:
            answers.put(response)
            if is_late.is_set():
                response.close()

    threading.Thread(target=send, name="kruk-download", daemon=True).start()
    try:
        answer = answers.get(timeout=_ANSWER_S)
    except queue.Empty:
        is_late.set()
        raise httpx.ConnectTimeout(f"no answer within {_ANSWER_S:g} s") from None
    if isinstance(answer, BaseException):
        raise answer
    return answer


def _first(response: httpx.Response) -> int | None:
    match = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    return int(match[1]) if match else None


def _total(response: httpx.Response) -> int | None:
    match = re.search(r"/(\d+)$", response.headers.get("Content-Range", ""))
    return int(match[1]) if match else None


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__
