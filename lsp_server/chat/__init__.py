"""Prompts and templates of a conversation."""
