"""A shelf of books: string_here."""

from __future__ import annotations


class Shelf:
    """Holds titles, żółw and 🐢 among them."""

    def __init__(self, titles: list[str]) -> None:
        self.titles = titles  # comment_here

    def longest(self) -> str:
        best = ""
        for title in self.titles:
            if len(title) > len(best):
                code_here = title
                best = f"{code_here}: {len(best)}"
        return best
