"""`kruk`, and `python -m lsp_server`, which is the same."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line. `kruk serve` goes a shorter way: an editor waits for it."""
    arguments = sys.argv[1:]
    if arguments[:1] == ["serve"] and set(arguments[1:]) <= {"--stdio"}:
        from lsp_server.cli.serve import serve_stdio

        serve_stdio()
    from lsp_server.cli.app import app

    app()


if __name__ == "__main__":
    main()
