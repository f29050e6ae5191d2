"""Talks to the warehouse."""

import json

from shop.models import Order


class WarehouseError(Exception):
    pass


class WarehouseClient:
    """A connection to one warehouse."""

    def __init__(self, address: str, timeout: float = 2.0) -> None:
        self.address = address
        self.timeout = timeout  # seconds

    def reserve(self, order: Order, *, days: int = 3) -> str:
        """Reserve what is ordered; gives a ticket."""
        lines = json.dumps(order.lines)
        return self._call("reserve", lines, str(days))

    def release(self, ticket: str) -> None:
        """Give up a reservation."""
        self._call("release", ticket)

    def _call(self, *words: str) -> str:
        return " ".join((self.address, *words))


def connect(address: str) -> WarehouseClient:
    """Open a connection with the usual timeout."""
    return WarehouseClient(address)
