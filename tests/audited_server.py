"""The real server, watched: every socket it connects or binds, and every URL it opens, is written to a file.

usage: python -m tests.audited_server FILE
"""

from __future__ import annotations

import os
import sys

WATCHED = ("socket.connect", "socket.bind", "socket.getaddrinfo", "socket.sendto", "urllib.Request", "http.client")
seen = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND)


def watch(event: str, args: tuple[object, ...]) -> None:
    if event.startswith(WATCHED):
        os.write(seen, f"{event} {args}\n".encode())


sys.addaudithook(watch)

from lsp_server.cli.serve import serve_stdio  # noqa: E402

serve_stdio()
