"""Kruk: a language server that runs a coder model inside its own process."""

__version__ = "0.1.0"
