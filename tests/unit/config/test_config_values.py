"""What a correct file means."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from raw_trigger.config import Config, Position, Rule, default_config, load_config
from raw_trigger.model.project import DagsterOptions

# The example of the design, without the keys that this version does not know.
EXAMPLE = """\
root: data/1_raw                    # or a list
dagster:
  module_name: my_project.definitions
  python: auto                      # auto, a path, or a command: [uv, run, python]
  home: null                        # default $DAGSTER_HOME, else a private one under the git directory
environment: local
downstream: auto
on_delete: auto
unmapped: warn
report_as: materialization
batch_size: 200
hooks:
  pre-commit: run
  post-commit: run
  post-merge: run
  post-rewrite: run
  post-checkout: notify
  pre-push: off
assets:                             # paths relative to the root; the first rule that matches decides
  - path: concepts_metadata.csv
    asset: raw_source/concepts_metadata_csv
  - path: "{name}_templates.csv"
    asset: "raw_source/{name}_templates_csv"
  - path: "sales/{region}/{date:%Y-%m-%d}.csv"
    asset: "raw/sales_{region}"
    partition: "{date}"
  - path: "**/*.txt"
    ignore: true
"""


def load(folder: Path, text: str | bytes, name: str = "raw-trigger.yaml") -> Config:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return load_config(path, folder)


def at(line: int, column: int) -> Position:
    return Position("raw-trigger.yaml", line, column)


def test_the_example_loads(tmp_path: Path) -> None:
    """Every value of the documented example arrives, with its place."""
    assert load(tmp_path, EXAMPLE) == Config(
        file="raw-trigger.yaml",
        folder="",
        roots=("data/1_raw",),
        dagster=DagsterOptions(module_name=("my_project.definitions",)),
        environment="local",
        downstream="auto",
        on_delete="auto",
        unmapped="warn",
        report_as="materialization",
        batch_size=200,
        hooks={
            "pre-commit": "run",
            "post-commit": "run",
            "post-merge": "run",
            "post-rewrite": "run",
            "post-checkout": "notify",
            "pre-push": "off",
        },
        ledger="sqlite",
        rules=(
            Rule(
                "concepts_metadata.csv",
                ("raw_source/concepts_metadata_csv",),
                False,
                None,
                None,
                at(20, 11),
                (at(21, 12),),
            ),
            Rule(
                "{name}_templates.csv",
                ("raw_source/{name}_templates_csv",),
                False,
                None,
                None,
                at(22, 11),
                (at(23, 12),),
            ),
            Rule(
                "sales/{region}/{date:%Y-%m-%d}.csv",
                ("raw/sales_{region}",),
                False,
                "{date}",
                None,
                at(24, 11),
                (at(25, 12),),
                at(26, 16),
            ),
            Rule("**/*.txt", (), True, None, None, at(27, 11), ()),
        ),
        digest=hashlib.sha256(EXAMPLE.encode()).hexdigest(),
    )


def test_the_shipped_example_loads() -> None:
    """The example project's own file is correct."""
    top = Path(__file__).parents[3]
    config = load_config(top / "examples/webshop/raw-trigger.yaml", top)
    assert config.folder == "examples/webshop"
    assert config.roots == ("examples/webshop/data/1_raw",)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# nothing yet\n",
        "---\n",
        "null\n",
        "~",
        "{}",
        b"\xef\xbb\xbf",
        "root:\nhooks:\nassets:\ndagster:\n",
    ],
)
def test_an_empty_file_is_the_defaults(tmp_path: Path, text: str | bytes) -> None:
    """So is one whose keys have no values, as when all below them is commented out."""
    config = load(tmp_path, text)
    default = default_config()
    assert (config.roots, config.dagster, config.hooks, config.rules) == (
        default.roots,
        default.dagster,
        default.hooks,
        default.rules,
    )


def test_the_default_in_a_folder() -> None:
    """Without a file the root is below the project folder."""
    assert default_config("projects/a").roots == ("projects/a/data/1_raw",)
    assert default_config().roots == ("data/1_raw",)
    assert default_config().file is None
    assert default_config().digest == ""


@pytest.mark.parametrize(
    ("written", "name", "roots"),
    [
        ("a", "raw-trigger.yaml", ("a",)),
        ("./a//b/", "raw-trigger.yaml", ("a/b",)),
        ("[a, b/c]", "raw-trigger.yaml", ("a", "b/c")),
        ("[a, ab]", "raw-trigger.yaml", ("a", "ab")),
        (".", "raw-trigger.yaml", (".",)),
        (".", "p/q/raw-trigger.yaml", ("p/q",)),
        ("a/b", "p/raw-trigger.yml", ("p/a/b",)),
        ("dätä/ß", "raw-trigger.yaml", ("dätä/ß",)),
        ("on", "raw-trigger.yaml", ("on",)),
    ],
)
def test_roots(tmp_path: Path, written: str, name: str, roots: tuple[str, ...]) -> None:
    """Roots are written relative to the file and come out relative to the repository."""
    assert load(tmp_path, f"root: {written}\n", name).roots == roots


@pytest.mark.parametrize(
    ("written", "command"),
    [
        ("notify-send 'raw data' \"it failed\"", ("notify-send", "raw data", "it failed")),
        ("tools/tell.sh", ("tools/tell.sh",)),
        ("[sh, -c, 'mail me']", ("sh", "-c", "mail me")),
        ("", None),
    ],
)
def test_a_command_is_words(tmp_path: Path, written: str, command: tuple[str, ...] | None) -> None:
    """No shell reads it."""
    assert load(tmp_path, f"on_failure: {written}\n").on_failure == command


@pytest.mark.parametrize(
    ("written", "action"),
    [
        ("off", "off"),
        ("Off", "off"),
        ("no", "off"),
        ("false", "off"),
        ("'off'", "off"),
        ("on", "run"),
        ("yes", "run"),
        ("true", "run"),
        ("run", "run"),
        ("notify", "notify"),
        ("background", "background"),
    ],
)
def test_hooks_need_no_quotes(tmp_path: Path, written: str, action: str) -> None:
    """YAML 1.1 takes some of these words for booleans."""
    assert load(tmp_path, f"hooks:\n  post-merge: {written}\n").hooks["post-merge"] == action


@pytest.mark.parametrize(
    ("written", "action"),
    [
        ("pre-commit: background", "background"),
        ("pre-commit: background\n  post-commit:", "background"),
        ("pre-commit: background\n  post-commit: background", "background"),
        ("pre-commit: off", "run"),
    ],
)
def test_post_commit_does_what_pre_commit_leaves_to_the_background(
    tmp_path: Path, written: str, action: str
) -> None:
    """There is no commit yet when pre-commit is called."""
    assert load(tmp_path, f"hooks:\n  {written}\n").hooks["post-commit"] == action


def test_every_other_form(tmp_path: Path) -> None:
    """Lists, commands, depths, partitions of several dimensions."""
    config = load(
        tmp_path,
        """\
dagster:
  python_file: [a.py, b.py]
  package_name: p
  workspace: w.yaml
  attribute: defs
  working_directory: src
  python: [uv, run, python]
  home: .dagster
environment: pr-12
downstream: 3
assets:
  - path: a.csv
    assets:
      - raw/a
      - raw/b
    partition: {region: "{path}", date: no}
    on_delete: skip
  - {path: b.csv, asset: raw/b, ignore: false, partition: null}
""",
    )
    assert config.dagster == DagsterOptions(
        python_file=("a.py", "b.py"),
        package_name=("p",),
        workspace=("w.yaml",),
        attribute="defs",
        working_directory="src",
        python=("uv", "run", "python"),
        home=".dagster",
    )
    assert (config.environment, config.downstream) == ("pr-12", 3)
    assert config.rules == (
        Rule(
            "a.csv",
            ("raw/a", "raw/b"),
            False,
            (("region", "{path}"), ("date", "no")),
            "skip",
            at(12, 11),
            (at(14, 9), at(15, 9)),
            at(16, 16),
        ),
        Rule("b.csv", ("raw/b",), False, None, None, at(18, 12), (at(18, 26),)),
    )


def test_python_as_a_list_of_one_is_a_command(tmp_path: Path) -> None:
    """A text is a path, a list is a command, however short."""
    assert load(tmp_path, "dagster: {python: python3}\n").dagster.python == "python3"
    assert load(tmp_path, "dagster: {python: [python3]}\n").dagster.python == ("python3",)


def test_anchors_and_merge_keys(tmp_path: Path) -> None:
    """What is merged gives way to what is written, and the first of several to be merged wins."""
    config = load(
        tmp_path,
        """\
assets:
  - &a {path: a.csv, asset: raw/a, on_delete: skip}
  - &b {path: b.csv, asset: raw/b, partition: x}
  - {<<: *a, path: c.csv}
  - {path: d.csv, <<: [*a, *b]}
  - *a
""",
    )
    assert [(r.path, r.assets, r.partition, r.on_delete) for r in config.rules] == [
        ("a.csv", ("raw/a",), None, "skip"),
        ("b.csv", ("raw/b",), "x", None),
        ("c.csv", ("raw/a",), None, "skip"),
        ("d.csv", ("raw/a",), "x", "skip"),
        ("a.csv", ("raw/a",), None, "skip"),
    ]
    assert config.rules[2].asset_positions == (at(2, 29),)


def test_positions_are_text() -> None:
    """As compilers write them."""
    assert str(at(3, 7)) == "raw-trigger.yaml:3:7"
    assert at(3, 7).short == "raw-trigger.yaml:3"


def test_a_top_that_is_reached_by_a_link(tmp_path: Path) -> None:
    """The names are the same whichever way leads to the file."""
    (tmp_path / "real/p").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "real/p/raw-trigger.yaml").write_text("")
    assert load_config(tmp_path / "link/p/raw-trigger.yaml", tmp_path / "real").file == "p/raw-trigger.yaml"


def test_a_file_that_is_a_link(tmp_path: Path) -> None:
    """It counts as being where the link is."""
    (tmp_path / "repo").mkdir()
    (tmp_path / "shared.yaml").write_text("root: a")
    (tmp_path / "repo/raw-trigger.yaml").symlink_to(tmp_path / "shared.yaml")
    config = load_config(tmp_path / "repo/raw-trigger.yaml", tmp_path / "repo")
    assert (config.file, config.roots) == ("raw-trigger.yaml", ("a",))
