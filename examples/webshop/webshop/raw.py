"""The raw assets: one for each file, except where a file holds two things or many files are one table."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from dagster import (
    AssetExecutionContext,
    AssetKey,
    AssetOut,
    AssetSpec,
    DailyPartitionsDefinition,
    Output,
    asset,
    multi_asset,
)

from webshop.tables import read_csv, read_numbers

# The week of the spring sale. A shop that stays open has no end date.
days = DailyPartitionsDefinition(start_date="2025-03-03", end_date="2025-03-08")


class Customer(NamedTuple):
    id: int
    name: str
    country: str
    age: int


class Return(NamedTuple):
    order_id: int
    day: date
    refund_eur: Decimal


class Product(NamedTuple):
    sku: str
    name: str
    category: str
    price: Decimal


class Sale(NamedTuple):
    order_id: int
    customer_id: int
    sku: str
    quantity: int
    unit_price: Decimal
    currency: str


# raw-trigger finds the files of these two by their names.


@asset(key_prefix="raw", group_name="raw")
def customers(context: AssetExecutionContext) -> list[Customer]:
    """Everybody who ever ordered."""
    rows = read_csv("customers.csv", Customer)
    context.add_output_metadata({"rows": len(rows)})
    return rows


@asset(key_prefix="raw", group_name="raw")
def returns(context: AssetExecutionContext) -> list[Return]:
    """Returned parcels, and the refunds for them."""
    rows = read_csv("returns.csv", Return)
    context.add_output_metadata({"rows": len(rows)})
    return rows


# This one says where its file is.


@asset(
    key_prefix="reference",
    group_name="reference",
    metadata={"path": "data/1_raw/exchange_rates.json"},
)
def exchange_rates() -> dict[str, Decimal]:
    """The value of one euro in other currencies."""
    return read_numbers("exchange_rates.json")


# The rules in raw-trigger.yaml know the files of these.


@multi_asset(
    outs={
        "products": AssetOut(key_prefix="raw"),
        "categories": AssetOut(key_prefix="raw"),
    },
    group_name="raw",
)
def catalog() -> Iterator[Output]:
    """The products of the shop, and their categories."""
    products = read_csv("catalog.csv", Product)
    categories = sorted({product.category for product in products})
    yield Output(products, "products", metadata={"rows": len(products)})
    yield Output(categories, "categories", metadata={"rows": len(categories)})


@asset(key_prefix="raw", group_name="raw", partitions_def=days)
def sales(context: AssetExecutionContext) -> list[Sale]:
    """The orders of one day."""
    rows = read_csv(f"sales/{context.partition_key}.csv", Sale)
    context.add_output_metadata({"rows": len(rows)})
    return rows


# Nobody here makes this table: the supplier sends it. It is in the graph so that
# what is made from it is known to depend on it.

price_list = AssetSpec(
    AssetKey(["suppliers", "price_list"]),
    description="What the shop pays for its products.",
    group_name="suppliers",
    metadata={"path": "data/1_raw/suppliers/price_list.csv"},
)
