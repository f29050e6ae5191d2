"""`kruk serve`: start the server. Imports nothing of the command line, so that an editor waits less."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from lsp_server import stdio


def serve_stdio(options: object = None) -> NoReturn:
    """Serve on stdin and stdout, then end the process."""
    reader, writer = stdio.take()
    from lsp_server.model.loading import loader_for
    from lsp_server.server import serve

    end(serve(reader, writer, loader_for, options))


def serve_tcp(port: int, options: object = None) -> NoReturn:
    """Serve one client on 127.0.0.1, then end the process."""
    from lsp_server.model.loading import loader_for
    from lsp_server.server import serve_tcp as serve

    end(serve(port, loader_for, options))


def serve_endpoint(port: int, options: object = None) -> NoReturn:
    """Serve the completions endpoint on 127.0.0.1 without an editor, then end the process. Raises KrukError."""
    from lsp_server.model.loading import loader_for
    from lsp_server.server import serve_endpoint as serve

    end(serve(port, loader_for, options))


def end(code: int) -> NoReturn:
    """End at once: the reader's thread may hang in a read, and the model's in llama.cpp."""
    sys.stderr.flush()
    os._exit(code)
