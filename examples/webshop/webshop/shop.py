"""The reports of the shop, made from the raw assets."""

from collections import defaultdict
from decimal import Decimal
from typing import NamedTuple

from dagster import AssetExecutionContext, AssetIn, MarkdownMetadataValue, asset

from webshop.raw import Customer, Product, Return, Sale, days, price_list
from webshop.tables import read_csv


class Revenue(NamedTuple):
    customer_id: int
    category: str
    eur: Decimal


class Margin(NamedTuple):
    sku: str
    eur: Decimal


class Purchase(NamedTuple):
    sku: str
    price: Decimal


@asset(
    group_name="shop",
    partitions_def=days,
    ins={
        "sales": AssetIn(["raw", "sales"]),
        "products": AssetIn(["raw", "products"]),
        "exchange_rates": AssetIn(["reference", "exchange_rates"]),
    },
)
def daily_revenue(
    context: AssetExecutionContext,
    sales: list[Sale],
    products: list[Product],
    exchange_rates: dict[str, Decimal],
) -> list[Revenue]:
    """The sales of one day in euros, each with the category it belongs to."""
    categories = {product.sku: product.category for product in products}
    lines = []
    for sale in sales:
        order = f"order {sale.order_id} of {context.partition_key}"
        if sale.sku not in categories:
            raise ValueError(f"{order}: {sale.sku} is not in catalog.csv")
        if sale.currency not in exchange_rates:
            raise ValueError(f"{order}: {sale.currency} is not in exchange_rates.json")
        eur = sale.quantity * sale.unit_price / exchange_rates[sale.currency]
        lines.append(Revenue(sale.customer_id, categories[sale.sku], eur))
    return lines


@asset(group_name="shop", ins={"products": AssetIn(["raw", "products"])}, deps=[price_list])
def margins(products: list[Product]) -> list[Margin]:
    """The price of each product minus its purchase price."""
    purchases = read_csv(
        "suppliers/price_list.csv",
        Purchase,
        delimiter=";",
        decimal=",",
        rename={"sku": "Article", "price": "Purchase price"},
    )
    paid = {purchase.sku: purchase.price for purchase in purchases}
    return [
        Margin(product.sku, product.price - paid[product.sku]) for product in products if product.sku in paid
    ]


@asset(
    group_name="shop",
    ins={
        # A day that was not materialized yet is left out.
        "daily_revenue": AssetIn(metadata={"allow_missing_partitions": True}),
        "customers": AssetIn(["raw", "customers"]),
        "returns": AssetIn(["raw", "returns"]),
    },
)
def revenue_report(
    context: AssetExecutionContext,
    daily_revenue: dict[str, list[Revenue]],
    customers: list[Customer],
    returns: list[Return],
) -> str:
    """Revenue by country, and all refunds, as a page for people."""
    countries = {customer.id: customer.country for customer in customers}
    by_country: dict[str, Decimal] = defaultdict(Decimal)
    for lines in daily_revenue.values():
        for line in lines:
            by_country[countries.get(line.customer_id, "unknown")] += line.eur

    page = ["| country | revenue in EUR |", "|---|---:|"]
    page += [f"| {country} | {eur:.2f} |" for country, eur in sorted(by_country.items())]
    page += [f"| paid back | {-sum(line.refund_eur for line in returns):.2f} |"]
    report = "\n".join(page)
    context.add_output_metadata({"report": MarkdownMetadataValue(report), "days": len(daily_revenue)})
    return report
