"""The Jinja template of a model's file, run where it can do no harm: a sandbox, in a process with little time.

It is given placeholders in place of what people say, so nothing of that can become part of the format.
Run as a module it is that process: a template and roles in JSON on stdin, the parts on stdout.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import subprocess
import sys
from collections.abc import Sequence
from functools import lru_cache

from lsp_server.errors import ModelError

LIMIT_S = 3.0
MEMORY_BYTES = 512 << 20
MAX_TEMPLATE_CHARS = 200_000
MAX_CHARS = 100_000
BOS, EOS = "\0bos", "\0eos"  # parts that are these tokens


class TemplateFailed(ModelError):
    """The template in the model's file does not do."""

    def __init__(self, why: str) -> None:
        super().__init__(
            f"The chat template in the model's file failed: {why}",
            "Set `kruk.model` to a model of a family that Kruk knows (`kruk models list`).",
        )


@lru_cache(maxsize=64)
def render(template: str, roles: tuple[str, ...]) -> tuple[str | int, ...]:
    """Return the parts of a prompt: text of the format, BOS, EOS, and numbers of messages whose content stands there.

    Raises TemplateFailed when it takes too long, fails, or leaves out what was said last.
    """
    if len(template) > MAX_TEMPLATE_CHARS:
        raise TemplateFailed("it is too long")
    nonce = secrets.token_hex(8)
    order = json.dumps({"template": template, "roles": roles, "nonce": nonce})
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    try:
        done = subprocess.run(
            [sys.executable, "-m", "lsp_server.chat.jinja"],
            input=order.encode(),
            capture_output=True,
            timeout=LIMIT_S,
            env=env,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise TemplateFailed(
            "it takes too long" if isinstance(error, subprocess.TimeoutExpired) else str(error)
        ) from None
    if done.returncode:
        raise TemplateFailed(
            done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2][:200] or "it was ended"
        )
    pieces = re.split(_placeholder(nonce, r"(\d+|bos|eos)"), done.stdout.decode("utf-8", "replace"))
    names = {"bos": BOS, "eos": EOS}
    parts = [names.get(piece) or int(piece) if i % 2 else piece for i, piece in enumerate(pieces) if piece]
    if len(roles) - 1 not in parts or any(isinstance(part, int) and part >= len(roles) for part in parts):
        raise TemplateFailed("it leaves out the last message")
    return tuple(parts)


def _placeholder(nonce: str, number: object) -> str:
    return f"\u00ab{nonce}:{number}\u00bb"


def _run(template: str, roles: Sequence[str], nonce: str) -> str:
    """Render in the sandbox."""
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    def refuse(message: str) -> None:
        raise ValueError(message)

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    environment.globals.update(raise_exception=refuse, strftime_now=lambda _format: "")
    messages = [{"role": role, "content": _placeholder(nonce, i)} for i, role in enumerate(roles)]
    out = ""
    for piece in environment.from_string(template).generate(
        messages=messages,
        add_generation_prompt=True,
        bos_token=_placeholder(nonce, "bos"),
        eos_token=_placeholder(nonce, "eos"),
        enable_thinking=False,
    ):
        out += piece
        if len(out) > MAX_CHARS:
            raise ValueError("it writes too much")
    return out


def _main() -> None:
    """Do one order from stdin."""
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        resource.setrlimit(resource.RLIMIT_CPU, (int(LIMIT_S) + 1, int(LIMIT_S) + 1))
    order = json.load(sys.stdin)
    try:
        out = _run(order["template"], order["roles"], order["nonce"])
    except Exception as error:
        sys.exit(f"{type(error).__name__}: {error}")
    sys.stdout.buffer.write(out.encode())


if __name__ == "__main__":
    _main()
