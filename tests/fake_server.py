"""The real server over real stdio, with the fake model in place of llama.cpp. For fast end-to-end tests.

usage: python -m tests.fake_server SCRIPT.json
The script: {"knows": [text, …], "says": text, "wavers": text, "loadError": text, "loadSeconds": n,
"isBase": bool, "chatSays": text, "drafts": text}. "chatSays" is what the model named `chat` says. "says" may be a
list: what it says in a conversation's first turn, in the second, and so on. "drafts": what is said of a draft model.
Serves more methods, so that a test can hold the model at a gate: `fake/close`, `fake/let` {n}, `fake/open`;
and two that count: `fake/waiting`, `fake/passed`.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from lsp_server import stdio

reader, writer = stdio.take()

from lsp_server.cli.serve import end  # noqa: E402
from lsp_server.errors import ModelLoadError  # noqa: E402
from lsp_server.jsonrpc import Method  # noqa: E402
from lsp_server.model.base import Model, Tell  # noqa: E402
from lsp_server.model.fake import FakeModel, Gate, knowing, saying  # noqa: E402
from lsp_server.model.worker import Loader  # noqa: E402
from lsp_server.server import Server, _log_to_stderr  # noqa: E402
from lsp_server.settings import Settings  # noqa: E402

script = json.loads(Path(sys.argv[1]).read_text())
gate = Gate()


def loader_for(settings: Settings) -> Loader:
    def load(tell: Tell, keep_on: Callable[[], bool]) -> Model:
        for percent in range(0, 101, 10):
            tell(percent)
            time.sleep(script.get("loadSeconds", 0) / 10)
        if settings.model == "broken" or "loadError" in script:
            raise ModelLoadError(script.get("loadError", "the fake is broken"), "Choose another")
        print("a stray print while loading")
        fill, said = knowing(*script.get("knows", [])), script.get("says", "It adds.")
        if settings.model == "chat":
            said = script["chatSays"]
        turns = [saying(text) for text in (said if isinstance(said, list) else [said])]
        second = knowing(script["wavers"]) if "wavers" in script else None

        def answer(prompt: str) -> str:
            n = prompt.count("<|im_start|>user")
            return turns[min(n, len(turns)) - 1](prompt) if n else fill(prompt)

        model = FakeModel(answer, second=second, gate=gate)
        model.info = replace(model.info, drafts=script.get("drafts", ""))
        if script.get("isBase") and settings.model != "chat":
            model.info = replace(model.info, name="qwen2.5-coder-1.5b", is_instruct=False)
        return model

    return load


async def main() -> int:
    _log_to_stderr()
    server = Server(reader, writer, loader_for)
    server.methods["fake/close"] = Method(None, lambda _: gate.close())
    server.methods["fake/let"] = Method(None, lambda params: gate.let(params["n"]))
    server.methods["fake/open"] = Method(None, lambda _: gate.open())
    server.methods["fake/waiting"] = Method(None, lambda _: gate.n_waiting)
    server.methods["fake/passed"] = Method(None, lambda _: gate.n_passed)
    return await server.run()


end(asyncio.run(main()))
