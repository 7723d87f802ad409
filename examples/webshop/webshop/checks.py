"""Checks of the loaded tables that go beyond the type of each value."""

from collections import Counter

from dagster import AssetCheckResult, AssetCheckSeverity, AssetKey, asset_check

from webshop.raw import Customer, Product


@asset_check(asset=AssetKey(["raw", "customers"]), blocking=True)
def customer_numbers_are_unique(customers: list[Customer]) -> AssetCheckResult:
    """Two customers with one number: an order could belong to either, so nothing downstream may go on."""
    twice = sorted(number for number, count in Counter(c.id for c in customers).items() if count > 1)
    return AssetCheckResult(
        passed=not twice,
        severity=AssetCheckSeverity.ERROR,
        description=f"more than one customer has the number {', '.join(map(str, twice))}" if twice else None,
    )


@asset_check(asset=AssetKey(["raw", "products"]))
def products_have_a_price(products: list[Product]) -> AssetCheckResult:
    """The shop may give a product away on purpose, so this only warns."""
    free = sorted(product.sku for product in products if product.price <= 0)
    return AssetCheckResult(
        passed=not free,
        severity=AssetCheckSeverity.WARN,
        description=f"no price: {', '.join(free)}" if free else None,
    )
