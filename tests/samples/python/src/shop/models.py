"""What a shop sells, and to whom."""

from __future__ import annotations

from dataclasses import dataclass, field

CURRENCY = "PLN"


@dataclass
class Customer:
    """Somebody who buys.

    Known by an email address.
    """

    name: str
    email: str

    def greeting(self, *, formal: bool = False) -> str:
        """How to begin a letter."""
        return f"Dear {self.name}" if formal else f"Hi {self.name}"


@dataclass
class Order:
    customer: Customer
    lines: list[tuple[str, int]] = field(default_factory=list)

    def total(self) -> int:
        return sum(price for _name, price in self.lines)
