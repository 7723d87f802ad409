"""Which command `init` says to name the project with."""

from __future__ import annotations

import pytest

from raw_trigger.initialize.naming import as_module, name_it

INSTALLED = ", where the project is installed (`pip install -e .`)"


@pytest.mark.parametrize(
    ("names", "start", "expected"),
    [
        ("definitions.py data/a.csv", "", "name it: `raw-trigger -f definitions.py init`"),
        ("shop/defs.py", "", "name it: `raw-trigger -C shop -f defs.py init`"),
        ("shop/defs.py shop/data/a.csv", "shop/data", "name it: `raw-trigger -C .. -f defs.py init`"),
        ("my shop/definitions.py", "", "name it: `raw-trigger -C 'my shop' -f definitions.py init`"),
        ("shop/__init__.py shop/defs.py", "", "name it by its module: `raw-trigger -m shop.defs init`"),
        (
            "a/shop/__init__.py a/shop/sub/__init__.py a/shop/sub/defs.py",
            "",
            "name it by its module: `raw-trigger -C a -m shop.sub.defs init`",
        ),
        (
            "src/shop/__init__.py src/shop/definitions.py tests/definitions.py",
            "",
            f"name it by its module: `raw-trigger -m shop.definitions init`{INSTALLED}",
        ),
        (
            "tests/definitions.py",
            "",
            "name it: `raw-trigger -m my_project.definitions init`, or `-f` with a file",
        ),
    ],
)
def test_the_project_that_the_files_look_like(names: str, start: str, expected: str) -> None:
    # A name with a space in it is alone.
    listed = [names] if names.startswith("my ") else names.split()
    assert name_it(listed, start) == expected


def test_a_file_of_a_package_is_named_by_its_module() -> None:
    names = ["shop/__init__.py", "shop/definitions.py", "definitions.py"]
    assert (
        as_module(names, "shop/definitions.py", "")
        == "name it by its module: `raw-trigger -m shop.definitions init`"
    )
    assert as_module(names, "definitions.py", "") is None
