"""File names that mean harm, and plans of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hypothesis import strategies as st

from raw_trigger.model.changes import Base, Change, Desired, Entry, show
from raw_trigger.model.outcome import CheckResult, Outcome, TargetOutcome, summarize
from raw_trigger.model.plan import NO_CATALOG, Plan, PlannedChange, PlannedTarget, Target

NASTY = [
    b"a.csv",
    b"new\nline.csv",
    b"carriage\rreturn.csv",
    b"$(touch /tmp/pwned).csv",
    b"`touch pwned`.csv",
    b"::error::forged",
    b"x\n::error file=a::forged",
    b"x\r::set-output name=changed::forged",
    b" ::warning::forged",
    b"##[error]forged",
    b"x ##[add-path]/evil",
    b"%0A::error::forged%0D%25",
    b"%250A%3A%2C",
    b"x\nEOF\nchanged=forged\n",
    b"changed<<EOF",
    b"-rf",
    b"--select",
    b"a|b|c",
    b"\\|\\",
    b"<script>alert(1)</script>",
    b"</code></details><img src=x onerror=alert(1)>",
    b"<!-- x",
    b"--> x",
    b"]](http://evil.example)",
    b"![x](http://evil.example/x.png)",
    b"http://evil.example www.evil.example a@evil.example",
    b"@everyone #1 owner/repo#2 GH-3",
    b"```\n```mermaid\nclick t0 href",
    b'"] --> t0["x',
    b"#quot;#35;",
    b"*bold* _it_ ~~s~~ $x$ :smile:",
    b"&lt;b&gt;&#64;",
    b"key,comma",
    b'quote"d',
    b"=equals=",
    b"a:1,title=forged",
    b"${{ github.token }}",
    b"latin-\xe9.csv",
    b"\xff\xfe\x80",
    b"\xed\xb3\xbf",
    "\u202egnp.exe \u2028 \u00a0 é \U0001f4a9".encode(),
    b"\x1b[31m\x07\x7f",
    b"n" * 4096,
    b"\n" * 4096,
    b"|<" * 2048,
]
ALL = [b"data/1_raw/" + name for name in NASTY] + NASTY

_FRAGMENTS = st.sampled_from([*NASTY[:-3], b"\n", b"::", b"##[", b"]", b"|", b"`", b"<", b">", b"%", b"/"])
names = st.lists(
    st.one_of(_FRAGMENTS, st.binary(max_size=12).map(lambda b: b.replace(b"\0", b""))), min_size=1
)
paths = names.map(b"".join).filter(bool)


def change(path: bytes, old_path: bytes | None = None) -> Change:
    return Change(path, None, Entry("100644", "1" * 40), old_path)


def plan_of(
    changes: Iterable[PlannedChange],
    targets: Sequence[PlannedTarget] = (),
    *,
    name: str = "main",
    reason: str = "",
    **more: tuple[str, ...],
) -> Plan:
    ordered = tuple(sorted(changes, key=lambda p: p.change.path))
    return Plan(
        "production",
        Base("revision", name, "a" * 40, reason),
        Desired("revision", name, "b" * 40),
        ordered,
        tuple(targets),
        **more,
    )


def hostile(hurtful: Sequence[bytes]) -> tuple[Plan, Outcome]:
    """A plan in which everything that has a name has one of these, and an outcome that quotes them."""
    kinds: list[tuple[str, str | None]] = [("planned", None), ("unmapped", "no rule"), ("ignored", None)]
    changes, targets, done = [], [], []
    for number, path in enumerate(dict.fromkeys(hurtful)):
        text = show(path)
        disposition, reason = kinds[number % 3]
        feeds = (Target(text), Target("raw/p", text)) if disposition == "planned" else ()
        changes.append(PlannedChange(change(path), disposition, None, reason and f"{reason}: {text}", feeds))  # type: ignore[arg-type]
        for target in feeds:
            below = Target(f"down/{text}", target.partition)
            targets.append(PlannedTarget(target, "materialize", "raw", 1, text, (path,)))
            targets.append(PlannedTarget(below, "materialize", "downstream", 1, text, (path,), (target,)))
            checks = (CheckResult(text, False, "ERROR", text), CheckResult(text, False, "WARN", text))
            done.append(
                TargetOutcome(target, "failed", text, 1.0, f"{text}:3: bad\n{text}\n\n  {text}", checks)
            )
            done.append(TargetOutcome(below, "skipped", None, None, f"upstream {text} failed"))
    texts = tuple(show(path) for path in hurtful)
    made = plan_of(changes, targets, name=texts[0], reason=texts[0], warnings=texts, errors=())
    return made, Outcome(summarize(tuple(done)), tuple(done), ("r",), 3.0)


@st.composite
def plans(draw: st.DrawFn, over: Sequence[bytes] | None = None) -> Plan:
    """Plans of a few files: what feeds what, what waits for what, what is undecided."""
    files = draw(st.lists(paths, unique=True, max_size=12)) if over is None else list(over)
    known = [Target(f"a{n % 5}", None if n < 5 else "p|q") for n in range(8)]
    changes = []
    feeding: dict[Target, list[bytes]] = {}
    for path in files:
        kind = draw(st.sampled_from(["planned", "planned", "undecided", "ignored", "unchanged", "dirty"]))
        fed = draw(st.lists(st.sampled_from(known), unique=True, min_size=1, max_size=3))
        if kind == "planned":
            changes.append(PlannedChange(change(path), "planned", targets=tuple(fed)))
            for target in fed:
                feeding.setdefault(target, []).append(path)
        elif kind == "undecided":
            changes.append(PlannedChange(change(path), "unmapped", None, NO_CATALOG))
        else:
            changes.append(PlannedChange(change(path), kind))
    targets = []
    for target, fed_by in feeding.items():
        others = st.lists(
            st.sampled_from(sorted(set(feeding) - {target}, key=lambda t: t.text) or [target]), max_size=2
        )
        after = tuple(t for t in draw(others) if t != target)
        action = draw(st.sampled_from(["materialize", "materialize", "report", "skip"]))
        targets.append(PlannedTarget(target, action, "raw", 1, None, tuple(fed_by), after))
    return plan_of(changes, targets)
