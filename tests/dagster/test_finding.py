"""The project is found as ``dagster dev`` finds it, or as it is named."""

from __future__ import annotations

import pytest

from raw_trigger.errors import ProjectError
from tests.dagster.sandbox import batch

ONE = """
    import dagster as dg
    @dg.asset
    def one(): return 1
"""
DEFS = ONE + "\n    defs = dg.Definitions([one])\n"

SHOP = {"shop/__init__.py": "", "shop/definitions.py": DEFS}
KINDS = {
    "tool.dagster": (
        {"pyproject.toml": '[tool.dagster]\nmodule_name = "shop.definitions"\n', **SHOP},
        {},
        "shop.definitions",
    ),
    "tool.dg": (
        {"pyproject.toml": '[tool.dg]\ndirectory_type = "project"\n[tool.dg.project]\nroot_module = "shop"\n',
         **SHOP},
        {},
        "shop.definitions",
    ),
    "workspace.yaml": (
        {"workspace.yaml": "load_from: [{python_file: {relative_path: code/defs.py, location_name: here}}]\n",
         "code/defs.py": DEFS},
        {},
        "here",
    ),
    "pyproject before workspace": (
        {"pyproject.toml": '[tool.dagster]\nmodule_name = "defs"\ncode_location_name = "toml"\n',
         "defs.py": DEFS,
         "workspace.yaml": "load_from:\n  - python_file: other.py\n"},
        {},
        "toml",
    ),
    "python_file": ({"defs.py": DEFS}, {"python_file": ("defs.py",)}, "defs.py"),
    "module_name": ({"a/__init__.py": "", "a/b.py": DEFS}, {"module_name": ("a.b",)}, "a.b"),
    "package_name": (
        {"pack/__init__.py": "from pack.assets import one\n", "pack/assets.py": ONE},
        {"package_name": ("pack",)},
        "pack",
    ),
    "working_directory": (
        {"src/defs.py": DEFS},
        {"module_name": ("defs",), "working_directory": "src"},
        "defs",
    ),
    "attribute": (
        {"defs.py": DEFS + "\n    other = dg.Definitions()\n"},
        {"python_file": ("defs.py",), "attribute": "defs"},
        "defs.py:defs",
    ),
    "workspace": (
        {"else/w.yaml": "load_from:\n  - python_file: ../defs.py\n", "defs.py": DEFS},
        {"workspace": ("else/w.yaml",)},
        "defs.py",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("files", "options", "location"), KINDS.values(), ids=KINDS)
def test_found(sandbox_factory, files, options, location):
    catalog = sandbox_factory(files).project(**options).catalog()
    assert {key: asset.location for key, asset in catalog.assets.items()} == {"one": location}
    assert catalog.fresh


def test_nothing_to_find(sandbox_factory):
    with pytest.raises(ProjectError, match=r"^no Dagster project here") as caught:
        sandbox_factory({"pyproject.toml": "[project]\nname = 'x'\n"}).project().catalog()
    assert caught.value.exit_code == 3
    assert caught.value.detail is None


def test_a_grpc_location_is_an_error_not_an_empty_catalog(sandbox_factory):
    files = {
        "workspace.yaml": "load_from:\n  - grpc_server: {host: localhost, port: 4266, location_name: far}\n"
    }
    with pytest.raises(ProjectError, match=r"code location 'far' is a gRPC server"):
        sandbox_factory(files).project().catalog()


def test_several_locations_with_modules_of_the_same_name(sandbox_factory):
    """The asset that one location makes and the other only names is the one that can be executed."""
    sandbox = sandbox_factory(
        {
            "workspace.yaml": """
                load_from:
                  - python_module: {module_name: defs, working_directory: b, location_name: user}
                  - python_module: {module_name: defs, working_directory: a, location_name: maker}
            """,
            "a/defs.py": DEFS,
            "b/defs.py": """
                import dagster as dg
                @dg.asset(deps=["one"])
                def two(): return 2
                defs = dg.Definitions([two, dg.AssetSpec("one")])
            """,
        }
    )
    catalog = sandbox.project().catalog()
    assert {k: (a.location, a.kind, a.parents) for k, a in catalog.assets.items()} == {
        "one": ("maker", "materializable", ()),
        "two": ("user", "materializable", ("one",)),
    }
    ran = sandbox.run(batch(1, "one", "two"), project=sandbox.project())
    assert ran.statuses == {"one": "success", "two": "success"}


LOAD_FAILURES = {
    "import": ("import shopp\n", "ModuleNotFoundError: No module named 'shopp'"),
    "value": ("def read():\n    raise ValueError('no such table')\nread()\n", "ValueError: no such table"),
    "syntax": ("x = (\n", "SyntaxError: '(' was never closed (broken.py, line 1)"),
    "exit": ("raise SystemExit(4)\n", "SystemExit: 4"),
}


@pytest.mark.parametrize(("code", "message"), LOAD_FAILURES.values(), ids=LOAD_FAILURES)
def test_a_project_that_does_not_load(sandbox_factory, code, message):
    sandbox = sandbox_factory({"defs.py": "print('before')\nimport broken\n", "broken.py": code})
    with pytest.raises(ProjectError) as caught:
        sandbox.project(python_file=("defs.py",)).catalog()
    assert caught.value.message == f"the Dagster project does not load: {message}"
    assert caught.value.hint is not None
    assert caught.value.hint.startswith(
        f"its Python is {sandbox.python} (configured as dagster.python); `dagster: {{python: .venv/bin/python}}` "
        "in raw-trigger.yaml names another; `dagster definitions validate` in the project's folder shows the same; "
    )
    assert caught.value.detail is not None
    assert "broken.py" in caught.value.detail
    assert caught.value.detail.endswith(message)
    assert "site-packages" not in caught.value.detail
    assert "inside" not in caught.value.detail


def test_a_project_that_does_not_load_runs_nothing(sandbox_factory):
    sandbox = sandbox_factory({"defs.py": "raise RuntimeError('down')\n"})
    with pytest.raises(ProjectError, match="RuntimeError: down"):
        sandbox.run(batch(1, "one"))
