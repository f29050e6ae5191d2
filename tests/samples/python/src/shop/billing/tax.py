VAT_PERCENT = 23


def with_vat(net: int) -> int:
    """Add the value added tax, rounded down."""
    return net + net * VAT_PERCENT // 100
