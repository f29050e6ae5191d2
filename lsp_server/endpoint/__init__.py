"""Suggestions over HTTP on loopback, for editors that ask a completions endpoint. Off by default."""
