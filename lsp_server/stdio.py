"""Keep the protocol's two streams to ourselves.

Whatever prints to stdout - a library, llama.cpp, a stray `print` - must not reach the client, and a child
process must not inherit its pipes. Called before anything else is imported.
"""

from __future__ import annotations

import os
import sys
from typing import BinaryIO


def take() -> tuple[BinaryIO, BinaryIO]:
    """Return stdin and stdout as binary streams; from now on fd 0 is empty and fd 1 is stderr."""
    reader, writer = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return reader, writer
