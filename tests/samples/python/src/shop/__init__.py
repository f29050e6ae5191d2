from .models import Customer, Order

__all__ = ["Customer", "Order"]
