"""The summary, parsed back as Markdown and HTML."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from raw_trigger.ci import graph, markup, matrix, summary
from raw_trigger.model.outcome import CheckResult, Outcome, TargetOutcome
from raw_trigger.model.plan import Plan, PlannedChange, PlannedTarget, Target
from raw_trigger.model.rows import RowCounts
from raw_trigger.render import words
from tests.ci.plans import ALL, change, hostile, paths, plan_of
from tests.unit.conftest import book, catalog, plan, rule

RUN = "https://github.com/o/r/actions/runs/1"
ASSETS = catalog(
    raw__a={},
    out={"kind": "external"},
    child={"parents": ("out",)},
    grandchild={"parents": ("child", "out")},
)
BOOK = book(rule("a.csv", "raw/a"), rule("out", "out"), rule("*.txt"), assets=ASSETS)
MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])

TAGS = frozenset(
    [
        "a",
        "h3",
        "p",
        "code",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "details",
        "summary",
        "pre",
        "blockquote",
    ]
)
INLINE = {"<code>", "</code>", "<!-- -->"}
BLOCK = re.compile(
    r"(<details><summary>[^<>]*(<code>([^<>]|<!-- -->)*</code>[^<>]*)*</summary>|</details>|<pre>[^<>]*</pre>)\n?"
)
MERMAID = re.compile(
    r"flowchart LR|  t\d+\[\"LABEL\"\]|  f\d+\(\[\"LABEL\"\]\)|  [ft]\d+ --> t\d+".replace(
        "LABEL", r"([^\W_]|[ _./-]|#\d+;)*"
    )
)


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert (tag, attrs) in [(tag, []), ("a", [("href", RUN)]), ("code", [("class", "language-mermaid")])]
        self.seen.add(tag)
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def inline_text(token: Token) -> str:
    return "".join(t.content for t in token.children or () if t.type in ("text", "text_special"))


def tables(tokens: list[Token]) -> list[list[list[str]]]:
    """The cells of every table, as text."""
    found: list[list[list[str]]] = []
    for before, token in pairwise(tokens):
        if token.type == "table_open":
            found.append([])
        elif token.type == "tr_open":
            found[-1].append([])
        elif before.type in ("th_open", "td_open"):
            found[-1][-1].append(inline_text(token))
    return found


def parsed(markdown: str) -> list[Token]:
    """The tokens, after a look at everything that could have been broken out of."""
    tokens = MARKDOWN.parse(markdown)
    for token in tokens:
        if token.type == "fence":
            assert token.info == "mermaid"
            lines = token.content.splitlines()
            assert all(MERMAID.fullmatch(line) for line in lines), lines
        elif token.type == "html_block":
            assert BLOCK.fullmatch(token.content), token.content
        else:
            assert token.type != "code_block"
            assert not token.type.startswith(("bullet", "ordered", "lheading", "hr"))
        for child in token.children or ():
            assert child.type in (
                "text",
                "text_special",
                "html_inline",
                "softbreak",
                "link_open",
                "link_close",
            )
            if child.type == "html_inline":
                assert child.content in INLINE
            if child.type == "link_open":
                assert child.attrs == {"href": RUN}
            # What GitHub would make a mention, a reference or an address of, is interrupted.
            assert not re.search(r"[@#]\w", child.content)
    assert sum(token.type == "heading_open" for token in tokens) == 1
    tags = Tags()
    tags.feed(MARKDOWN.render(markdown))
    tags.close()
    assert not tags.open
    assert tags.seen <= TAGS
    assert not re.search(
        r"https?://|www\.", re.sub(r"<pre>[^<]*</pre>|```.*?```", "", markdown.replace(RUN, ""), flags=re.S)
    )
    return tokens


def test_a_plan() -> None:
    """The whole text: what was compared and why, the plan, the graph."""
    made = plan(BOOK, "~a.csv", "+out", "+note.txt", downstream="all")
    report = summary.Report(
        made,
        rows={b"data/1_raw/a.csv": RowCounts(3, 0, 2), b"data/1_raw/out": RowCounts()},
        batches=matrix.assign(made, 2, {}),
        run_url=RUN,
        notes=("nothing can be pushed: the token may only read",),
    )
    assert summary.render(report) == (
        "### Raw data: 3 changed files, 4 assets to materialize or report\n\n"
        "Compared <code>A</code> (<code>a</code>) with <code>B</code> (<code>b</code>), environment"
        " <code>local</code>.\n\n"
        "> Note: nothing can be pushed&#58; the token may only read\n\n"
        f"See [the run]({RUN}).\n\n"
        "| | file | rows | feeds |\n|---|---|---|---|\n"
        "| M | <code>data/1&#95;raw/a.csv</code> | +3 ~2 | raw/a |\n"
        "| A | <code>data/1&#95;raw/note.txt</code> |  | ignored |\n"
        "| A | <code>data/1&#95;raw/out</code> | no row | out |\n\n"
        "| asset | action | why |\n|---|---|---|\n"
        "| <code>child</code> | materialize | downstream of out |\n"
        "| <code>grandchild</code> | materialize | downstream of out |\n"
        "| <code>out</code> | report | data/1&#95;raw/out |\n"
        "| <code>raw/a</code> | materialize | data/1&#95;raw/a.csv |\n\n"
        "| batch | | |\n|---|---|---|\n"
        "| 1/2 | <code>child and 2 more</code> | 2 files, 3 assets |\n"
        "| 2/2 | <code>raw/a</code> | 1 file, 1 asset |\n\n"
        "```mermaid\nflowchart LR\n"
        '  t0["raw/a"]\n  t1["out"]\n  t2["child"]\n  t3["grandchild"]\n'
        '  f0(["data/1_raw/a.csv"])\n  f1(["data/1_raw/out"])\n'
        "  f0 --> t0\n  f1 --> t1\n  t1 --> t2\n  t2 --> t3\n```\n"
    )


def test_an_outcome() -> None:
    """What failed comes first, its error below; a failed check of severity ERROR is a failure."""
    made = plan(BOOK, "~a.csv", "+out")
    checks = (CheckResult("unique", False, "ERROR", "2 twice"), CheckResult("fine", True, "WARN"))
    done = (
        TargetOutcome(Target("child"), "skipped", None, None, "upstream out failed"),
        TargetOutcome(Target("out"), "success", None, 0.25, None, checks),
        TargetOutcome(Target("raw/a"), "failed", "run-1", 1.5, "ValueError: <a>\n\n  at a|b", ()),
        TargetOutcome(Target("raw/b"), "failed", "run-1", 1.5, "ValueError: <a>\n\n  at a|b", ()),
    )
    text = summary.render(summary.Report(made, Outcome("partial", done, ("run-1",), 2.0)))
    assert text[text.index("\n| |") :][: text.index("| | file") - text.index("\n| |")] == (
        "\n| | asset | seconds | |\n|---|---|---|---|\n"
        "| ❌ | <code>raw/a</code> | 1.5 | ValueError&#58; &#60;a&#62; |\n"
        "| ❌ | <code>raw/b</code> | 1.5 | ValueError&#58; &#60;a&#62; |\n"
        "| ⏭️ | <code>child</code> |  | upstream out failed |\n"
        "| ❌ | <code>out</code> | 0.2 | check unique failed &#40;ERROR&#41;&#58; 2 twice |\n"
        "\n<details><summary><code>raw/a</code>, <code>raw/b</code></summary>\n\nrun <code>run-1</code>\n\n"
        "<pre>ValueError: &#60;a&#62;\n\n  at a|b</pre>\n\n</details>\n\n"
    )
    assert [token.content for token in parsed(text) if token.type == "html_block"] == [
        "<details><summary><code>raw/a</code>, <code>raw/b</code></summary>\n",
        "<pre>ValueError: &#60;a&#62;\n\n  at a|b</pre>\n",
        "</details>\n",
    ]


def test_nothing_to_do() -> None:
    assert summary.render(summary.Report(plan(BOOK))) == (
        "### Raw data: nothing to do\n\n"
        "Compared <code>A</code> (<code>a</code>) with <code>B</code> (<code>b</code>), environment"
        " <code>local</code>.\n\nThe answer: Nothing to do&#58; no raw file differs &#40;A → B&#41;.\n"
    )


def assert_contained(names: list[bytes]) -> None:
    made, outcome = hostile(names)
    rows = {p.change.path: RowCounts(1, 2, 3) for p in made.changes}
    notes = tuple(made.warnings)
    for done in (None, outcome):
        report = summary.Report(made, done, rows, matrix.assign(made, 3, {}), RUN, notes)
        found = tables(parsed(summary.render(report)))
        files = next(table for table in found if table[0] == ["", "file", "rows", "feeds"])
        # Every name is in its cell as it would be in a terminal, and there only.
        assert [row[1] for row in files[1:]] == [markup.cut(line.path, 160) for line in words.lines(made)]
        assert all(len(row) == len(table[0]) for table in found for row in table)
        parsed(summary.render(report, summary.COMMENT_LIMIT))


@pytest.mark.parametrize("name", ALL, ids=lambda name: repr(name[:40]))
def test_names_that_mean_harm(name: bytes) -> None:
    assert_contained([name])


def test_all_of_them_together() -> None:
    assert_contained(ALL)


@settings(deadline=None, max_examples=30)
@given(st.lists(paths, min_size=1, max_size=3, unique=True))
def test_any_names(names: list[bytes]) -> None:
    assert_contained(names)


@given(st.text())
def test_any_text_means_itself(value: str) -> None:
    """Of any text all that prints is there again, and there is nothing but text."""
    cells = tables(MARKDOWN.parse(f"### x\n\n| x |\n|---|\n| {markup.code(value)}. |\n"))
    expected = "".join(
        c if c.isprintable() else " " if c.isspace() else "\N{REPLACEMENT CHARACTER}" for c in value
    )
    assert cells == [[["x"], [f"{expected}."]]]


@pytest.mark.parametrize(
    "limit",
    [
        300,
        2_000,
        pytest.param(20_000, marks=pytest.mark.soak),
        summary.COMMENT_LIMIT,
        pytest.param(summary.SUMMARY_LIMIT, marks=pytest.mark.soak),
    ],
)
def test_never_longer(limit: int) -> None:
    """Ten thousand files with the most expensive names: rows and sections are left out, and it says so."""
    targets = [Target("\N{PILE OF POO}|" * 40 + str(n)) for n in range(10_000)]
    changes = [
        PlannedChange(change(b"<|@#>" * 60 + b"%d" % n), "planned", targets=(target,))
        for n, target in enumerate(targets)
    ]
    planned = [
        PlannedTarget(t, "materialize", "raw", 1, None, (c.change.path,))
        for t, c in zip(targets, changes, strict=True)
    ]
    made = plan_of(changes, planned, warnings=("@" * 1000,) * 5000, reason="|" * 5000, name="#" * 5000)
    failed = Outcome("failed", tuple(TargetOutcome(t, "failed", "r", 1.0, "<\n" * 9000) for t in targets))
    for done in (None, failed):
        text = summary.render(summary.Report(made, done, run_url=RUN), limit)
        assert len(text.encode()) <= limit
        if limit >= 20_000:
            found = parsed(text)
            said = [re.sub(r"\d+", "N", inline_text(t)) for t in found if inline_text(t).startswith("…")]
            assert sorted(said) == ["… and N more assets", "… and N more files", "… and N more warnings"]
            shown = sum(len(table) - 1 for table in tables(found) if table[0][:2] == ["", "file"])
            more = next(int(m[1]) for m in [re.search(r"… and (\d+) more files", text)] if m)
            assert shown + more == 10_000


def drawn(made: Plan) -> str:
    text = graph.mermaid(made)
    assert text is not None
    return text


def test_many_files_of_one_asset_are_one_node() -> None:
    target = Target("raw/a")
    changes = [PlannedChange(change(b"d/%03d.csv" % n), "planned", targets=(target,)) for n in range(100)]
    fed = tuple(c.change.path for c in changes)
    assert drawn(plan_of(changes, [PlannedTarget(target, "materialize", "raw", 1, None, fed)])) == (
        '```mermaid\nflowchart LR\n  t0["raw/a"]\n  f0(["d/000.csv and 99 more"])\n  f0 --> t0\n```\n'
    )


def test_a_large_graph_is_cut() -> None:
    targets = [Target(f"raw/{n:03}") for n in range(200)]
    changes = [PlannedChange(change(b"d/%03d" % n), "planned", targets=(t,)) for n, t in enumerate(targets)]
    planned = [
        PlannedTarget(t, "materialize", "raw", 1, None, (b"d/%03d" % n,)) for n, t in enumerate(targets)
    ]
    text = drawn(plan_of(changes, planned))
    assert text.count("-->") == 30
    assert text.endswith("```\n\nThe graph shows only a part of the plan.\n")


def test_no_graph_of_nothing() -> None:
    assert graph.mermaid(plan(BOOK, "+note.txt")) is None


@pytest.mark.parametrize("url", ["javascript:alert(1)", "https://x/a)b", "https://x/ y", "https://x/<b>"])
def test_an_address_that_is_none(url: str) -> None:
    assert markup.link("the run", url) == "the run"
