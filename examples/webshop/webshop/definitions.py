"""The definitions that Dagster loads."""

from dagster import Definitions

from webshop import checks, raw, shop

defs = Definitions(
    assets=[
        raw.customers,
        raw.returns,
        raw.exchange_rates,
        raw.catalog,
        raw.sales,
        raw.price_list,
        shop.daily_revenue,
        shop.margins,
        shop.revenue_report,
    ],
    asset_checks=[checks.customer_numbers_are_unique, checks.products_have_a_price],
)
