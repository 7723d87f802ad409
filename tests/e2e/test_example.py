"""The example project: it loads, everything in it runs, and bad data is refused in plain words."""

from __future__ import annotations

import importlib
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from raw_trigger.resources import resource

pytest.importorskip("dagster")

DAYS = [f"2025-03-0{day}" for day in range(3, 8)]
MATERIALIZABLE = {
    "raw/customers": None,
    "raw/returns": None,
    "raw/products": None,
    "raw/categories": None,
    "reference/exchange_rates": None,
    "raw/sales": "2025-03-03",
    "daily_revenue": "2025-03-03",
    "margins": None,
    "revenue_report": None,
}


class Shop:
    """A copy of the example, imported, with an instance of its own."""

    def __init__(self, folder: Path, definitions: ModuleType) -> None:
        from dagster import DagsterInstance

        self.raw = folder / "data" / "1_raw"
        self.repository = definitions.defs.get_repository_def()
        self.instance = DagsterInstance.local_temp(str(folder / "dagster_home"))

    def materialize(self, *keys: str, partition: str | None = None) -> Any:
        """Run the assets as `dagster dev` would: their implicit job, with its checks and its IO manager."""
        from dagster import AssetKey

        selection = [AssetKey(key.split("/")) for key in keys]
        job = self.repository.get_implicit_job_def_for_assets(selection)
        return job.execute_in_process(
            instance=self.instance,
            asset_selection=selection,
            partition_key=partition,
            raise_on_error=False,
        )

    def error(self, key: str, partition: str | None = None) -> str:
        """The innermost error of an asset that fails."""
        result = self.materialize(key, partition=partition)
        assert not result.success
        failure = next(event for event in result.all_events if event.is_step_failure)
        cause = failure.event_specific_data.error
        while cause.cause is not None:
            cause = cause.cause
        return cause.message.strip()

    def edit(self, name: str, old: str, new: str) -> None:
        file = self.raw / name
        text = file.read_text(encoding="utf-8")
        assert old in text
        file.write_text(text.replace(old, new, 1), encoding="utf-8")


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("webshop")
    shutil.copytree(resource("examples") / "webshop", folder, dirs_exist_ok=True)
    (folder / "dagster_home").mkdir()
    (folder / "dagster_home" / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        try:
            shop = Shop(folder, importlib.import_module("webshop.definitions"))
            yield shop
            shop.instance.dispose()
        finally:
            for name in [name for name in sys.modules if name.partition(".")[0] == "webshop"]:
                del sys.modules[name]


@pytest.fixture
def shop(loaded: Shop) -> Iterator[Shop]:
    """The shop with its raw files as they are shipped, whatever the test before did to them."""
    yield loaded
    shutil.rmtree(loaded.raw)
    shutil.copytree(resource("examples") / "webshop" / "data" / "1_raw", loaded.raw)


def test_the_asset_graph(shop: Shop) -> None:
    nodes = {node.key.to_user_string(): node for node in shop.repository.asset_graph.asset_nodes}
    assert {key for key, node in nodes.items() if node.is_materializable} == set(MATERIALIZABLE)
    assert {key for key, node in nodes.items() if node.is_external} == {"suppliers/price_list"}
    assert {key for key, node in nodes.items() if node.partitions_def} == {"raw/sales", "daily_revenue"}
    assert nodes["raw/sales"].partitions_def.get_partition_keys() == DAYS


def test_a_day_is_shipped_for_each_partition(shop: Shop) -> None:
    assert sorted(file.stem for file in (shop.raw / "sales").iterdir()) == DAYS


def test_everything_can_be_materialized(shop: Shop) -> None:
    unpartitioned = [key for key, day in MATERIALIZABLE.items() if day is None]
    assert shop.materialize(*(key for key in unpartitioned if key != "revenue_report")).success
    for day in DAYS:
        assert shop.materialize("raw/sales", "daily_revenue", partition=day).success
    report = shop.materialize("revenue_report")
    assert report.success
    assert report.output_for_node("revenue_report") == (
        "| country | revenue in EUR |\n"
        "|---|---:|\n"
        "| DE | 82.70 |\n"
        "| ES | 6.50 |\n"
        "| FR | 27.40 |\n"
        "| IT | 9.50 |\n"
        "| SE | 62.00 |\n"
        "| US | 51.90 |\n"
        "| paid back | -33.50 |"
    )


def test_nothing_is_written_beside_the_raw_files(shop: Shop) -> None:
    project = shop.raw.parent.parent
    shipped = resource("examples") / "webshop"
    assert shop.materialize("raw/customers").success

    def files(folder: Path) -> set[Path]:
        return {
            path
            for path in (file.relative_to(folder) for file in folder.rglob("*") if file.is_file())
            if not {"__pycache__", "dagster_home"}.intersection(path.parts)
        }

    assert files(project) == files(shipped)


@pytest.mark.parametrize(
    ("asset", "file", "edit", "expected"),
    [
        (
            "raw/customers",
            "customers.csv",
            ("3,Chloé Martin,FR,28", "3,Chloé Martin,FR,abc"),
            "customers.csv line 4: 'abc' is not a whole number (column age)",
        ),
        (
            "raw/customers",
            "customers.csv",
            ("3,Chloé Martin,FR,28", "3,,FR,28"),
            "customers.csv line 4: column name is empty",
        ),
        (
            "raw/customers",
            "customers.csv",
            ("3,Chloé Martin,FR,28", "3,Chloé Martin,FR"),
            "customers.csv line 4: the heading has 4 columns and this line 3",
        ),
        (
            "raw/customers",
            "customers.csv",
            ("3,Chloé Martin", "<<<<<<< HEAD\n3,Chloé Martin"),
            "customers.csv line 4: the heading has 4 columns and this line 1",
        ),
        (
            "raw/customers",
            "customers.csv",
            ("id,name,country,age", "id,name,land,age"),
            "customers.csv line 1: there is no column country (there is: id, name, land, age)",
        ),
        (
            "raw/customers",
            "customers.csv",
            ("8,Henry Wood", '8,"Henry Wood'),
            "customers.csv line 9: unexpected end of data",
        ),
        (
            "raw/returns",
            "returns.csv",
            ("2025-03-07", "7 March"),
            "returns.csv line 3: '7 March' is not a date like 2025-03-31 (column day)",
        ),
        (
            "raw/products",
            "catalog.csv",
            ("8.40", "NaN"),
            "catalog.csv line 4: 'NaN' is not a number (column price)",
        ),
        (
            "reference/exchange_rates",
            "exchange_rates.json",
            ("1.08", '"cheap"'),
            "exchange_rates.json: 'cheap' is not a number (USD)",
        ),
        (
            "reference/exchange_rates",
            "exchange_rates.json",
            ("11.2,", "11.2"),
            "exchange_rates.json line 4: Expecting ',' delimiter",
        ),
        (
            "raw/sales",
            "sales/2025-03-03.csv",
            ("1002,3,COF-01,1,", "1002,3,COF-01,one,"),
            "sales/2025-03-03.csv line 3: 'one' is not a whole number (column quantity)",
        ),
        (
            "margins",
            "suppliers/price_list.csv",
            ("TEA-02;2,15", "TEA-02;2,15 EUR"),
            "suppliers/price_list.csv line 3: '2,15 EUR' is not a number (column Purchase price)",
        ),
        (
            "margins",
            "suppliers/price_list.csv",
            ("POT-01;11,50", "POT-01;1.150"),
            "suppliers/price_list.csv line 6: '1.150' is not a number (column Purchase price)",
        ),
    ],
)
def test_a_bad_file_is_refused(
    shop: Shop, asset: str, file: str, edit: tuple[str, str], expected: str
) -> None:
    if asset == "margins":
        assert shop.materialize("raw/products", "raw/categories").success
    shop.edit(file, *edit)
    # Half of the multi-asset cannot be run alone.
    if asset == "raw/products":
        result = shop.materialize("raw/products", "raw/categories")
        failure = next(event for event in result.all_events if event.is_step_failure)
        assert failure.event_specific_data.error.cause.message.strip() == f"ValueError: {expected}"
    else:
        assert shop.error(asset, MATERIALIZABLE[asset]) == f"ValueError: {expected}"


def test_a_missing_file_is_refused(shop: Shop) -> None:
    (shop.raw / "customers.csv").unlink()
    assert shop.error("raw/customers") == "ValueError: customers.csv: there is no such file in data/1_raw"


def test_a_file_in_another_encoding_is_refused(shop: Shop) -> None:
    file = shop.raw / "customers.csv"
    file.write_bytes(file.read_text(encoding="utf-8").replace("ı", "i").encode("latin-1"))
    assert shop.error("raw/customers") == (
        "ValueError: customers.csv line 4: not UTF-8; save the file as UTF-8"
    )


def test_what_a_spreadsheet_adds_is_no_harm(shop: Shop) -> None:
    """A byte order mark, CRLF, another order of the columns and one more of them."""
    (shop.raw / "customers.csv").write_bytes(
        "\ufeffage,id,note,name,country\r\n34,1,regular,Amara Okafor,DE\r\n\r\n".encode()
    )
    result = shop.materialize("raw/customers")
    assert result.success
    assert [tuple(row) for row in result.output_for_node("raw__customers")] == [(1, "Amara Okafor", "DE", 34)]


def test_sales_of_an_unknown_product_stop_at_the_revenue(shop: Shop) -> None:
    shop.edit("sales/2025-03-04.csv", "POT-01", "POT-99")
    assert shop.materialize("raw/products", "raw/categories", "reference/exchange_rates").success
    assert shop.materialize("raw/sales", partition="2025-03-04").success
    assert shop.error("daily_revenue", "2025-03-04") == (
        "ValueError: order 1004 of 2025-03-04: POT-99 is not in catalog.csv"
    )


def evaluations(result: Any) -> list[tuple[str, bool, str, str | None]]:
    return [
        (check.check_name, check.passed, check.severity.value, check.description)
        for check in result.get_asset_check_evaluations()
    ]


def test_both_checks_pass_on_the_shipped_data(shop: Shop) -> None:
    result = shop.materialize("raw/customers", "raw/products", "raw/categories")
    assert result.success
    assert [(name, passed) for name, passed, *_ in sorted(evaluations(result))] == [
        ("customer_numbers_are_unique", True),
        ("products_have_a_price", True),
    ]


def test_a_customer_number_that_is_there_twice_is_an_error(shop: Shop) -> None:
    shop.edit("customers.csv", "5,Elif", "4,Elif")
    result = shop.materialize("raw/customers")
    assert evaluations(result) == [
        ("customer_numbers_are_unique", False, "ERROR", "more than one customer has the number 4")
    ]
    assert not result.success  # it blocks


def test_a_product_without_a_price_is_a_warning(shop: Shop) -> None:
    shop.edit("catalog.csv", "MUG-01,Mug,kitchen,9.50", "MUG-01,Mug,kitchen,0")
    result = shop.materialize("raw/products", "raw/categories")
    assert evaluations(result) == [("products_have_a_price", False, "WARN", "no price: MUG-01")]
    assert result.success
