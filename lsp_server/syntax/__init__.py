"""What the text means to its language; the only package that knows tree-sitter."""
