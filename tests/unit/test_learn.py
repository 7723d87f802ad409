"""What is proposed for what was read, where it goes in the file, and what a run warns of."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raw_trigger.config.parsing import parse
from raw_trigger.errors import UsageError
from raw_trigger.initialize import Findings, draft
from raw_trigger.initialize.text import NO_RULE, UNMAPPED
from raw_trigger.learn.choosing import Asked, choose
from raw_trigger.learn.learning import Learned
from raw_trigger.learn.lesson import Lesson
from raw_trigger.mapping.rules import RuleBook
from raw_trigger.model.assets import Asset, Catalog, Partitions
from raw_trigger.model.changes import to_bytes
from raw_trigger.model.outcome import Reads, TargetOutcome
from raw_trigger.model.plan import Target
from raw_trigger.model.settings import Config
from raw_trigger.reads import Reading, missed, warnings

DAYS = Partitions("time", format="%Y-%m-%d", start="2025-01-01T00:00:00+00:00", cron="0 0 * * *")
REGIONS = Partitions("static", keys=("eu", "us"))
BOTH = Partitions("multi", dimensions=(("day", DAYS), ("region", REGIONS)))
ASSETS: Mapping[str, Partitions | None] = {
    **dict.fromkeys(("a", "b", "raw/x", "raw/y", "raw/z", "in/k_tab", "in/l_tab", "in/m_tab", "raw/named")),
    "daily": DAYS,
    "parted": REGIONS,
    "other_parted": REGIONS,
    "both": BOTH,
    "outside": None,
    "below": None,
}
CATALOG = Catalog(
    {
        key: Asset(
            key,
            tuple(key.split("/")),
            "here",
            kind="external" if key == "outside" else "materializable",
            parents=("outside",) if key == "below" else (),
            partitions=partitions,
            metadata=(("path", "data/meta.csv"),) if key == "raw/named" else (),
        )
        for key, partitions in ASSETS.items()
    }
)


def target(text: str) -> Target:
    key, bar, partition = text.partition("|")
    return Target(key, partition if bar else None)


def data(*names: str) -> tuple[bytes, ...]:
    """Names below the root; a name that ends in ``/`` is a folder, ``/`` alone the root."""
    return tuple(to_bytes(f"data/{name}".rstrip("/")) for name in names)


def reading(text: str, names: Sequence[str], assets: Sequence[str] = (), **reads: bool) -> Reading:
    """What a target read; a name that begins with ``?`` is unsure."""
    files = [name for name in names if name[-1] != "/" and name[0] != "?"]
    unsure = [name[1:] for name in names if name[0] == "?"]
    folders = [name for name in names if name[-1] == "/"]
    told = Reads("step", data(*files), data(*unsure), data(*folders), **reads)
    return Reading(target(text), tuple(assets) or (target(text).asset,), told)


def lesson(before: str | None, files: str, read: Mapping[str, str]) -> tuple[str | None, list[str]]:
    """The file's new text and the notes. Assets that are read by one step are joined by ``+``."""
    config = Config(roots=("data",)) if before is None else parse(before.encode(), "raw-trigger.yaml")
    every = [
        reading(one, names.split(), [target(o).asset for o in texts.split("+")])
        for texts, names in read.items()
        for one in texts.split("+")
    ]
    made = Lesson(config, CATALOG, "/top", sorted(data(*files.split())), every)
    rules, after = made.text(before, "raw-trigger.yaml")
    if after is not None:  # what is promised: just what was read, by the file as it will be
        book = RuleBook(parse(after.encode(), "raw-trigger.yaml"), CATALOG, "/top")
        for rule in rules:
            for name in rule.names:
                match = book.match(*data(name))
                assert match is not None and match.rule.startswith("raw-trigger.yaml:")
                wanted = {
                    one.target for one in every if data(name)[0] in (*one.reads.files, *one.reads.unsure)
                }
                assert wanted & set(match.targets)
    return after, made.notes


HEAD = "root: data\n\nassets:\n"
NEW: dict[str, tuple[str, dict[str, str], str]] = {
    "one file": ("p.csv q.csv", {"a": "p.csv"}, "  - path: p.csv\n    asset: a\n"),
    "what a child has read": ("p.csv", {"a": "?p.csv"}, "  - path: p.csv\n    asset: a\n"),
    "two readers": ("p.csv", {"a": "p.csv", "b": "p.csv"}, "  - path: p.csv\n    assets: [a, b]\n"),
    "one function": ("p.csv", {"a+b": "p.csv"}, "  - path: p.csv\n    assets: [a, b]\n"),
    "a folder that was listed": (
        "f/p.csv f/q.csv",
        {"a": "f/ f/p.csv f/q.csv"},
        '  - path: "f/*.csv"\n    asset: a\n',
    ),
    "one file of a folder that was listed": (
        "f/p.csv f/n.txt",
        {"a": "f/ f/p.csv"},
        '  - path: "f/*.csv"\n    asset: a\n',
    ),
    "the root that was listed": ("p.csv q.csv", {"a": "/ p.csv q.csv"}, '  - path: "*.csv"\n    asset: a\n'),
    "two files, nothing listed": (
        "f/p.csv f/q.csv",
        {"a": "f/p.csv f/q.csv"},
        "  - path: f/p.csv\n    asset: a\n  - path: f/q.csv\n    asset: a\n",
    ),
    "a whole folder by names": (
        "f/p.csv f/q.csv f/r.csv",
        {"a": "f/p.csv f/q.csv f/r.csv"},
        '  - path: "f/*.csv"\n    asset: a\n',
    ),
    "not the whole of it": (
        "f/p.csv f/q.csv f/r.csv f/s.csv",
        {"a": "f/ f/p.csv f/q.csv f/r.csv"},
        "".join(f"  - path: f/{n}.csv\n    asset: a\n" for n in "pqr"),
    ),
    "a tree": (
        "f/p.csv f/g/q.csv f/n.txt h.csv",
        {"a": "f/ f/g/ f/p.csv f/g/q.csv"},
        '  - path: "f/**/*.csv"\n    asset: a\n',
    ),
    "one asset for each file": (
        "k.csv l.csv m.csv",
        {f"in/{n}_tab": f"{n}.csv" for n in "klm"},
        '  - path: "{name}.csv"\n    asset: "in/{name}_tab"\n',
    ),
    "the same, beside others": (
        "k_in.csv l_in.csv m_in.csv q.csv",
        {f"in/{n}_tab": f"{n}_in.csv" for n in "klm"},
        "".join(f"  - path: {n}_in.csv\n    asset: in/{n}_tab\n" for n in "klm"),
    ),
    "partitions, also those that were not run": (
        "s/eu.csv s/us.csv",
        {"parted|eu": "s/eu.csv"},
        '  - path: "s/{name}.csv"\n    asset: parted\n    partition: "{name}"\n',
    ),
    "days": (
        "s-2025-02-03.csv s-2025-02-04.csv s-2025-02-05.csv",
        {"daily|2025-02-04": "s-2025-02-04.csv", "daily|2025-02-05": "s-2025-02-05.csv"},
        '  - path: "s-{date:%Y-%m-%d}.csv"\n    asset: daily\n    partition: "{date}"\n',
    ),
    "days, one of them before the first": (
        "s-2024-12-31.csv s-2025-02-04.csv s-2025-02-05.csv",
        {"daily|2025-02-04": "s-2025-02-04.csv", "daily|2025-02-05": "s-2025-02-05.csv"},
        '  - path: "s-{date:%Y-%m-%d}.csv"\n    asset: daily\n    partition: "{date}"\n',
    ),
    "several dimensions": (
        "eu/2025-02-03.csv us/2025-02-03.csv",
        {"both|2025-02-03|eu": "eu/2025-02-03.csv"},
        '  - path: "{region}/{date:%Y-%m-%d}.csv"\n    asset: both\n    partition:\n'
        '      day: "{date}"\n      region: "{region}"\n',
    ),
    "a file's name does not tell its partition": (
        "europe.csv",
        {"parted|eu": "europe.csv"},
        "  - path: europe.csv\n    asset: parted\n    partition: eu\n",
    ),
    "characters of patterns": (
        "[p]{q}*.csv",
        {"a": "[p]{q}*.csv"},
        '  - path: "[[]p]{{q}}[*].csv"\n    asset: a\n',
    ),
}


@pytest.mark.parametrize(("files", "read", "rules"), NEW.values(), ids=NEW)
def test_rules_for_what_was_read(files: str, read: dict[str, str], rules: str) -> None:
    assert lesson(None, files, read) == (HEAD + rules, [])


NOTHING: dict[str, tuple[str | None, str, dict[str, str], list[str]]] = {
    "by convention": (None, "x.csv", {"raw/x": "x.csv"}, []),
    "by metadata": (None, "meta.csv", {"raw/named": "meta.csv"}, []),
    "one of a function is enough": (None, "x.csv", {"raw/x+a": "x.csv"}, []),
    "an external asset above it": (
        HEAD + "  - {path: p.csv, asset: outside}\n",
        "p.csv",
        {"below": "p.csv"},
        [],
    ),
    "what git does not see": (None, "p.csv", {"a": "q.csv"}, []),
    "shared by partitions": (
        None,
        "p.csv",
        {"parted|eu": "p.csv", "parted|us": "p.csv"},
        ["p.csv: read by several partitions of `parted`, and a rule gives a file one"],
    ),
    "with and without a partition": (
        None,
        "p.csv",
        {"a": "p.csv", "parted|eu": "p.csv"},
        ["p.csv: a rule gives all its assets one partition: it feeds `a`, `parted`"],
    ),
    "no UTF-8": (
        None,
        "\udcff.csv",
        {"a": "\udcff.csv"},
        ['"\\xff.csv" is no UTF-8, so no rule can name it: it feeds `a`'],
    ),
    "ignored": (
        HEAD + "  - {path: p.csv, ignore: true}\n",
        "p.csv",
        {"a": "p.csv"},
        ["raw-trigger.yaml:4 ignores data/p.csv, which `a` reads"],
    ),
    "what a job does nobody knows": (HEAD + "  - {path: p.csv, job: j}\n", "p.csv", {"a": "p.csv"}, []),
    "mapped and not read": (
        HEAD + "  - {path: '*.csv', asset: a}\n",
        "p.csv q.csv",
        {"a": "p.csv"},
        ["raw-trigger.yaml:4: `a` did not read q.csv"],
    ),
    "a rule that says more": (
        HEAD + "  - {path: p.csv, asset: a, on_delete: skip}\n",
        "p.csv",
        {"b": "p.csv"},
        ["raw-trigger.yaml:4 says more of p.csv than its assets: add `b` there"],
    ),
    "a rule by rows, and an asset without partitions": (
        HEAD + "  - {path: p.csv, asset: parted, rows: {key: k, partition: '{k}'}}\n",
        "p.csv",
        {"b": "p.csv"},
        ["raw-trigger.yaml:4 maps the rows of p.csv to partitions: no rule can say that `b` reads all of it"],
    ),
    "rules in brackets": (
        "root: data\nassets: [{path: p.csv, asset: a}]\n",
        "p.csv q.csv",
        {"b": "q.csv"},
        ["add it by hand: - path: q.csv asset: b"],
    ),
}


@pytest.mark.parametrize(("before", "files", "read", "notes"), NOTHING.values(), ids=NOTHING)
def test_where_no_rule_is_to_be_added(
    before: str | None, files: str, read: dict[str, str], notes: list[str]
) -> None:
    assert lesson(before, files, read) == (None, notes)


PLACES: dict[str, tuple[str, str]] = {
    "after all": (
        "# mine\nroot: data\nassets:\n- path: q.csv  # first\n  asset: a\n\n# - path: todo\nhooks: {pre-push: 'off'}\n",
        "# mine\nroot: data\nassets:\n- path: q.csv  # first\n  asset: a\n- path: p.csv\n  asset: b\n\n"
        "# - path: todo\nhooks: {pre-push: 'off'}\n",
    ),
    "before the rule that would take it, and what is said above that": (
        "root: data\nassets:\n    - path: q.csv\n      asset: a\n\n    # the rest\n    # of it\n    - path: '**'\n      ignore: false\n"
        "      assets:\n        - a\n    - path: z\n      asset: a\n",
        "root: data\nassets:\n    - path: q.csv\n      asset: a\n\n    - path: p.csv\n      assets: [a, b]\n    # the rest\n    # of it\n"
        "    - path: '**'\n      ignore: false\n      assets:\n        - a\n    - path: z\n      asset: a\n",
    ),
    "no rules yet": ("root: data\n", "root: data\n\nassets:\n  - path: p.csv\n    asset: b\n"),
    "no newline at the end": (
        "root: data\nassets:\n  - path: q.csv\n    asset: a",
        "root: data\nassets:\n  - path: q.csv\n    asset: a\n  - path: p.csv\n    asset: b",
    ),
    "an empty list": ("assets: []\nroot: data\n", "assets:\n  - path: p.csv\n    asset: b\nroot: data\n"),
    "comments only": (
        "root: data\nassets:\n  # - path: todo\n",
        "root: data\nassets:\n  - path: p.csv\n    asset: b\n  # - path: todo\n",
    ),
    "line ends of Windows": (
        "root: data\r\nassets:\r\n  - path: q.csv\r\n    asset: a\r\n",
        "root: data\r\nassets:\r\n  - path: q.csv\r\n    asset: a\r\n  - path: p.csv\r\n    asset: b\r\n",
    ),
}


@pytest.mark.parametrize(("before", "after"), PLACES.values(), ids=PLACES)
def test_where_a_rule_goes(before: str, after: str) -> None:
    told, notes = lesson(before, "p.csv", {"b": "p.csv"})
    assert told == after
    assert notes == []


def drafted(files: str) -> str:
    """What ``init`` writes for these files and assets that are not named like them."""
    some = Catalog({key: CATALOG.assets[key] for key in ("a", "b", "raw/x", "daily")})
    return draft(Findings("raw-trigger.yaml", "", "data", "/top", data(*sorted(files.split())), some)).text


def test_what_init_wrote_of_a_file_goes_when_that_has_a_rule() -> None:
    files = "p.csv q.csv n.dat x.csv"
    before = drafted(files)
    assert "#   x.csv  → raw/x  convention" in before
    after, _ = lesson(before, files, {"a": "p.csv", "b": "x.csv"})
    assert after == before.replace("  # - path: p.csv\n  #   asset: KEY\n", "").replace(
        f"{NO_RULE[0]}\n{NO_RULE[1]}\n#   x.csv  → raw/x  convention\n\n", ""
    ).replace("#   a\n#   b\n", "").replace(
        "assets:\n", "assets:\n  - path: p.csv\n    asset: a\n  - path: x.csv\n    assets: [b, raw/x]\n"
    )
    # The last entry takes the heading along; a list that somebody else wrote stays.
    mine = before.replace(UNMAPPED[0], "# To do:")
    every = {"a": "p.csv q.csv n.dat", "b": "x.csv", "daily|2025-01-01": "d-2025-01-01.csv"}
    after, _ = lesson(before, f"{files} d-2025-01-01.csv", every)
    assert after is not None
    assert "#" not in after.partition("assets:")[2]
    after, _ = lesson(mine, f"{files} d-2025-01-01.csv", every)
    assert after is not None
    assert after.count("# - path:") == 3


def test_of_partitions_that_one_run_made_names_tell_which_read_what() -> None:
    files, both = ("s/eu.csv", "s/us.csv"), ("eu", "us")
    every = [replace(reading(f"parted|{key}", files), together=both) for key in both]
    made = Lesson(Config(roots=("data",)), CATALOG, "/top", data(*files), every)
    assert made.text(None, "raw-trigger.yaml")[1] == (
        HEAD + '  - path: "s/{name}.csv"\n    asset: parted\n    partition: "{name}"\n'
    )
    assert made.notes == []


def test_a_name_that_did_not_mislead_is_kept() -> None:
    after, notes = lesson(None, "x.csv", {"raw/x": "x.csv", "a": "x.csv"})
    assert (after, notes) == (HEAD + "  - path: x.csv\n    assets: [a, raw/x]\n", [])


def test_a_name_that_misled_is_left_out() -> None:
    """`raw/x` has the file's name, but was seen to read another one."""
    after, notes = lesson(None, "x.csv y.csv", {"raw/x": "y.csv", "a": "x.csv"})
    assert after == HEAD + "  - path: x.csv\n    asset: a\n  - path: y.csv\n    assets: [raw/x, raw/y]\n"
    assert notes == []


def test_a_pattern_that_a_rule_in_the_file_cuts_short_is_not_proposed() -> None:
    before = HEAD + "  - {path: f/p.csv, asset: b}\n"
    after, notes = lesson(
        before, "f/p.csv f/q.csv f/r.csv", {"a": "f/ f/p.csv f/q.csv f/r.csv", "b": "f/p.csv"}
    )
    assert after is not None
    book = RuleBook(parse(after.encode(), "raw-trigger.yaml"), CATALOG, "/top")
    found = {name: {t.asset for t in book.match(*data(f"f/{name}.csv")).targets} for name in "pqr"}  # type: ignore[union-attr]
    assert found == {"p": {"a", "b"}, "q": {"a"}, "r": {"a"}}
    assert notes == []


def test_the_difference_is_one_that_git_applies() -> None:
    rest = ((), (), ())
    assert Learned("sub/raw-trigger.yaml", *rest, None, "a\n").diff == (
        "--- /dev/null\n+++ b/sub/raw-trigger.yaml\n@@ -0,0 +1 @@\n+a\n"
    )
    assert Learned("raw-trigger.yaml", *rest, "a", "a\nb\n").diff == (
        "--- a/raw-trigger.yaml\n+++ b/raw-trigger.yaml\n@@ -1 +1,2 @@\n"
        "-a\n\\ No newline at end of file\n+a\n+b\n"
    )
    assert Learned("raw-trigger.yaml", *rest, "a", None).diff == ""


def test_what_is_materialized_to_learn() -> None:
    names = ["s-2025-02-03.csv", "s-2025-02-04.csv", "s-2025-02-05.csv", "us.csv"]
    targets, notes = choose(CATALOG, Asked(), names)
    chosen = [one.text for one in targets]
    assert chosen == [
        *("a", "b", "daily|2025-02-04", "daily|2025-02-05", "in/k_tab", "in/l_tab", "in/m_tab"),
        *("other_parted|us", "other_parted|eu", "parted|us", "parted|eu"),
        *("raw/named", "raw/x", "raw/y", "raw/z"),
    ]
    assert notes == [
        "`both` is not run: no file's name tells one of its partitions; name one with --partition",
        "1 asset that is made from others is not run; `--all` runs every asset, `--asset KEY` one",
    ]
    every = choose(CATALOG, Asked(everything=True), names)
    assert [one.text for one in every[0]] == sorted([*chosen, "below"], key=lambda one: one.partition("|")[0])
    assert every[1] == notes[:1]
    assert [one.text for one in choose(CATALOG, Asked(("below",)), names)[0]] == ["below"]
    # What is mapped to a partition tells better than what a file of another asset is named after.
    mapped = {"parted": ["eu"], "daily": ["2025-02-03", "2025-02-05", "2999-01-01", "2025-02-04"]}
    now = datetime(2025, 2, 6, tzinfo=timezone.utc).timestamp()
    names = ["us.csv", "s-2025-02-06.csv"]
    some, _ = choose(CATALOG, Asked(("parted", "daily", "other_parted")), names, mapped, now)
    assert [one.text for one in some] == [
        *("parted|eu", "daily|2025-02-04", "daily|2025-02-05"),
        *("other_parted|us", "other_parted|eu"),
    ]
    asked = Asked(("daily",))
    assert choose(CATALOG, asked, names, {}, now)[0] == [], "its window is open"
    assert len(choose(CATALOG, asked, names, {}, now + 86400)[0]) == 1
    for key in ("outside", "nowhere"):
        with pytest.raises(UsageError, match=key):
            choose(CATALOG, Asked((key,)), names)


def outcome(text: str, *names: str, step: str | None = None, run_id: str = "1") -> TargetOutcome:
    reads = Reads(step or text, data(*names))
    return TargetOutcome(target(text), "success", run_id, reads=reads)


def test_a_run_warns_of_what_the_rules_miss() -> None:
    text = (
        HEAD
        + "  - {path: p.csv, asset: a}\n  - {path: n.txt, ignore: true}\n  - {path: o.csv, asset: outside}\n"
    )
    book = RuleBook(parse(text.encode(), "raw-trigger.yaml"), CATALOG, "/top")
    ran = [
        outcome("a", "p.csv", "n.txt"),
        outcome("b", "p.csv"),
        outcome("below", "o.csv"),
        outcome("raw/x", "x.csv", "y.csv", step="one"),
        outcome("raw/y", "x.csv", "y.csv", step="one"),
        outcome("parted|eu", "q.csv", "r.csv", "s.csv", "t.csv", "gone.csv"),
        TargetOutcome(Target("raw/z"), "success"),
    ]
    found = missed(ran, book, "auto")
    assert found == {
        ("b",): data("p.csv"),
        ("parted",): tuple(sorted(data("q.csv", "r.csv", "s.csv", "t.csv", "gone.csv"))),
    }
    assert warnings(found, lambda paths: set(paths) - set(data("gone.csv"))) == [
        "`b` read data/p.csv, which does not feed it by any rule: add a rule, or run `raw-trigger learn --watch-runs`",
        "`parted` read data/q.csv, data/r.csv, data/s.csv and 1 more, which do not feed it by any rule:"
        " add a rule, or run `raw-trigger learn --watch-runs`",
    ]
    assert missed(ran[2:3], book, "none") == {("below",): data("o.csv")}
    many = missed([outcome(f"in/{n}_tab", "p.csv") for n in "klmnopq"], book, "auto")
    assert warnings(many, set)[-1] == "2 more read files that do not feed them"


FOLDERS = ("", "f/", "f/g/", "h/")
NAMES = [
    f"{folder}{stem}{suffix}"
    for folder in FOLDERS
    for stem in ("k", "l", "x", "eu", "2025-02-03")
    for suffix in (".csv", "")
]
BEFORE = (
    None,
    "root: data\n",
    HEAD + "  - {path: 'f/*.csv', asset: a}\n  - {path: '**/x*', ignore: true}\n",
    HEAD + "  - path: k.csv\n    assets: [a, b]\n  # all\n  - path: '**'\n    asset: raw/z\n",
)
TARGETS = ("a", "b", "raw/x", "raw/z", "in/k_tab", "parted|eu", "parted|us", "daily|2025-02-03")


@given(
    st.sets(st.sampled_from(NAMES), min_size=1),
    st.dictionaries(
        st.sampled_from(TARGETS), st.sets(st.sampled_from([*NAMES, "/", "f/", "h/"])), min_size=1
    ),
    st.sampled_from(BEFORE),
)
@settings(max_examples=40, deadline=None)
def test_the_file_maps_what_was_read_and_everything_else_as_before(
    files: set[str], read: dict[str, set[str]], before: str | None
) -> None:
    names = {one: " ".join(sorted(some)) for one, some in read.items() if some}
    after, notes = lesson(before, " ".join(sorted(files)), names)
    old, new = (
        RuleBook(Config(roots=("data",)) if text is None else parse(text.encode(), "y"), CATALOG, "/top")
        for text in (before, before if after is None else after)
    )
    ran = {target(one).asset for one in names}
    for name in files:
        path = data(name)[0]
        then, now = old.match(path), new.match(path)
        mapped = set() if now is None else set(now.targets)
        missing = {
            target(one)
            for one in names
            if name in read[one] and target(one).asset not in {t.asset for t in mapped}
        }
        if missing and not (then is not None and then.ignore):
            words = {word.removeprefix("data/") for note in notes for word in re.split("[ ,:]+", note)}
            assert name in words or any(" more" in note for note in notes), (name, missing, after, notes)
        lost = set() if then is None else set(then.targets) - mapped
        assert all(then is not None and then.rule == "convention" and t.asset in ran for t in lost)
        gained = mapped - (set() if then is None else set(then.targets))
        for one in gained:
            is_read = one.text in names and name in read[one.text]
            assert is_read or (one.partition is not None and one.text not in names), (name, one, after)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (Asked(("both", "a"), ("2025-02-03|eu",)), ["both|2025-02-03|eu", "a"]),
        (Asked(("parted", "daily"), ("us", "2025-02-03")), ["parted|us", "daily|2025-02-03"]),
        (Asked(("parted",), ("usa",)), "no asset that is run has a partition 'usa'"),
        (Asked(("a",), ("us",)), "no asset that is run has a partition 'us'"),
        (Asked((), ("us",)), "--partition is for the partitions of an asset"),
        (Asked(("a",), (), everything=True), "--all is every asset"),
    ],
)
def test_which_partitions_are_run(asked: Asked, expected: list[str] | str) -> None:
    if isinstance(expected, str):
        with pytest.raises(UsageError, match=expected):
            choose(CATALOG, asked, [])
    else:
        targets, notes = choose(CATALOG, asked, [])
        assert ([one.text for one in targets], notes) == (expected, [])
