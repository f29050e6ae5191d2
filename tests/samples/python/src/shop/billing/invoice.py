from __future__ import annotations

from .. import Order
from ..client import WarehouseClient
from ..client import connect as open_warehouse
from . import tax


class Invoice:
    """What an order costs."""

    def __init__(self, order: Order, client: WarehouseClient | None = None) -> None:
        self.order = order
        self.client = client or open_warehouse("here")

    def send(self) -> str:
        amount = tax.with_vat(self.order.total())
        return f"{amount} to {self.order.customer.email}"
