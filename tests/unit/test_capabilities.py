"""What is read off a client's capabilities."""

import pytest

from lsp_server.capabilities import read_client


@pytest.mark.parametrize(
    ("capabilities", "is_declared"),
    [
        ({"textDocument": {"inlineCompletion": {}}}, True),
        ({"textDocument": {"inlineCompletion": None}}, True),  # lsp-mode 10
        ({"textDocument": {}}, False),
        ({"textDocument": 5}, False),
        ({}, False),
    ],
)
def test_inline_completion_is_declared_by_its_name(capabilities, is_declared):
    assert read_client(capabilities).has_inline_completion == is_declared
