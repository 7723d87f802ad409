"""Path patterns, row by row, and against a reference that tries everything."""

from __future__ import annotations

import re
import signal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from raw_trigger.mapping.linear import Program
from raw_trigger.mapping.patterns import (
    PatternError,
    _Compiler,
    built_in,
    compile_glob,
    compile_pattern,
    compile_template,
)

MATCHES = [
    ("a.csv", "a.csv", {}),
    ("*.csv", "a.csv", {}),
    ("*.csv", ".csv", {}),
    ("*.csv", "x/a.csv", None),
    ("*.CSV", "a.csv", None),
    ("?.csv", "ä.csv", {}),
    ("?.csv", "ab.csv", None),
    ("a?b", "a/b", None),
    ("**", "x/y/z", {}),
    ("**/*.txt", "a.txt", {}),
    ("**/*.txt", "x/y/a.txt", {}),
    ("x/**", "x/y/z", {}),
    ("x/**", "x", None),
    ("x/**", "xy/z", None),
    ("x/**/z", "x/z", {}),
    ("x/**/z", "x/y/y/z", {}),
    ("x**z", "x/y/z", {}),
    ("[ab].csv", "a.csv", {}),
    ("[!ab].csv", "a.csv", None),
    ("[!ab].csv", "c.csv", {}),
    ("[!a]", "/", None),
    ("[]].csv", "].csv", {}),
    ("[[]x]", "[x]", {}),
    ("[a-c].csv", "b.csv", {}),
    ("{name}.csv", "a.csv", {"name": "a"}),
    ("{name}.csv", ".csv", None),
    ("{name}.csv", "x/a.csv", None),
    ("{a}/{b}.csv", "x/y.csv", {"a": "x", "b": "y"}),
    ("{a}/{a}.csv", "x/x.csv", {"a": "x"}),
    ("{a}/{a}.csv", "x/y.csv", None),
    (r"{id:\d{2,3}}.csv", "12.csv", {"id": "12"}),
    (r"{id:\d{2,3}}.csv", "1.csv", None),
    ("{x:.*}.csv", "a/b.csv", None),
    ("{kind:new|old}.csv", "old.csv", {"kind": "old"}),
    ("{date:%Y-%m-%d}.csv", "2026-01-31.csv", {"date": "2026-01-31"}),
    ("{date:%Y-%m-%d}.csv", "2026-02-31.csv", None),
    ("{date:%Y-%m-%d}.csv", "2026-1-31.csv", None),
    ("{m:%m-%d}.csv", "02-29.csv", {"m": "02-29"}),
    ("{m:%m-%d}.csv", "02-30.csv", None),
    ("{date:%Y/%m/%d}.csv", "2026/01/31.csv", {"date": "2026/01/31"}),
    ("{date:%Y%m%d}T{hour:%H}.csv", "20260131T07.csv", {"date": "20260131", "hour": "07"}),
    ("a{{b}}.csv", "a{b}.csv", {}),
    ("a.csv", "aXcsv", None),
    ("new\nline", "new\nline", {}),
    ("*", "new\nline", {}),
    ("*.csv", "\udcff.csv", {}),
    ("{n}.csv", "\udcff.csv", {"n": "\udcff"}),
]


@pytest.mark.parametrize(("pattern", "path", "captures"), MATCHES)
def test_matching(pattern: str, path: str, captures: dict[str, str] | None) -> None:
    assert compile_pattern(pattern).match(path) == captures


@pytest.mark.parametrize(
    ("pattern", "message", "offset"),
    [
        ("a{b", "'{' is not closed by '}'; write '{{' for the character itself", 1),
        ("a}b", "'}' closes nothing; write '}}' for the character itself", 1),
        ("x[ab", "'[' is not closed by ']'; write '[[]' for the character itself", 1),
        ("{}", "'' is no name for a capture; write '{{' for a brace itself", 0),
        ("{1a}", "'1a' is no name for a capture; write '{{' for a brace itself", 0),
        ("{stem}.csv", "'stem' always stands for the path's own stem; take another", 0),
        ("{a:x}/{a:y}", "'a' is constrained twice; write the second as {a}", 6),
        ("{a:}", "'a:' has no constraint", 0),
        ("{d:%Q}", "'%Q' is not known here; known are %Y %m %d %H %M %S %j %y %f %b %B %%", 0),
        ("x/{d:%Y-%m-%d-%Y}", "'%Y' occurs twice in one date", 2),
        (
            "{a:x{99999999999}}",
            "'x{99999999999}' is no regular expression: the repetition number is too large",
            0,
        ),
        ("x/{a:(}", "'(' is no regular expression: missing ), unterminated subpattern at position 0", 2),
        ("[z-a]", "'[z-a]' is no class: bad character range z-a at position 6", 0),
    ],
)
def test_what_is_no_pattern(pattern: str, message: str, offset: int) -> None:
    with pytest.raises(PatternError) as caught:
        compile_pattern(pattern)
    assert (caught.value.message, caught.value.offset) == (message, offset)


def test_a_literal_pattern_knows_its_one_path() -> None:
    assert compile_pattern("a{{b}}/c.csv").literal == "a{b}/c.csv"
    assert compile_pattern("a/*.csv").literal is None
    assert compile_glob("{a}/b").literal == "{a}/b"


@given(st.text(alphabet="ab*?[]!{}:%Yd/.\\\n-^&~|", max_size=12), st.text(alphabet="ab/.{}[]\n", max_size=8))
def test_any_text_is_a_pattern_or_a_pattern_error(pattern: str, path: str) -> None:
    try:
        compiled = compile_pattern(pattern)
    except PatternError as error:
        assert 0 <= error.offset <= len(pattern)
    else:
        assert compiled.literal is None or (compiled.match(path) is not None) == (path == compiled.literal)


def reference(pattern: str, path: str) -> bool:
    """Wildcards by trying every split, without regular expressions."""
    if not pattern:
        return not path
    if pattern.startswith("**/"):
        tails = [path, *(path[i + 1 :] for i, char in enumerate(path) if char == "/")]
        return any(reference(pattern[3:], tail) for tail in tails)
    if pattern == "**":
        return bool(path)
    if pattern[0] == "*":
        free = path.find("/") if "/" in path else len(path)
        return any(reference(pattern[1:], path[i:]) for i in range(free + 1))
    if pattern[0] == "?":
        return bool(path) and path[0] != "/" and reference(pattern[1:], path[1:])
    return path[:1] == pattern[0] and reference(pattern[1:], path[1:])


segments = st.lists(st.sampled_from(["a", "b", "*", "?", "."]), min_size=1, max_size=3).map("".join)
wild = st.lists(
    st.one_of(segments.filter(lambda s: "**" not in s), st.just("**")), min_size=1, max_size=4
).map("/".join)
real = st.lists(st.text(alphabet="ab.", min_size=1, max_size=3), min_size=1, max_size=4).map("/".join)


@given(wild, real)
def test_wildcards_match_as_the_reference_does(pattern: str, path: str) -> None:
    assert (compile_pattern(pattern).match(path) is not None) == reference(pattern, path)


@given(real)
def test_a_path_is_its_own_pattern_once_escaped(path: str) -> None:
    escaped = re.sub(r"([*?\[])", r"[\1]", path).replace("{", "{{").replace("}", "}}")
    assert compile_pattern(escaped).match(path) == {}


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("raw/{name}", "raw/users"),
        ("{parent}/{stem}{suffix}", "eu/x.y.csv"),
        ("{path}", "eu/x.y.csv"),
        ("a{{b}}", "a{b}"),
        ("plain", "plain"),
    ],
)
def test_templates(template: str, expected: str) -> None:
    compiled = compile_template(template, {"name"})
    assert compiled.expand({**built_in("eu/x.y.csv"), "name": "users"}) == expected
    assert compiled.literal == (expected if not compiled.names else None)


@pytest.mark.parametrize(
    ("template", "message"),
    [
        (
            "raw/{nmae}",
            "'{nmae}' is not captured by the path; known are {name}, {parent}, {path}, {stem}, {suffix}",
        ),
        ("raw/{name", "'{' is not closed by '}'"),
        ("raw}", "'}' closes nothing; write '}}' for the character itself"),
    ],
)
def test_what_is_no_template(template: str, message: str) -> None:
    with pytest.raises(PatternError) as caught:
        compile_template(template, {"name"})
    assert caught.value.message == message


@pytest.mark.parametrize(
    ("path", "parts"),
    [
        ("a.csv", ("a", ".csv", "")),
        ("x/y/a.tar.gz", ("a.tar", ".gz", "x/y")),
        (".hidden", (".hidden", "", "")),
        ("none", ("none", "", "")),
    ],
)
def test_what_every_path_has(path: str, parts: tuple[str, str, str]) -> None:
    values = built_in(path)
    assert (values["stem"], values["suffix"], values["parent"]) == parts


def sources(pattern: str) -> str:
    """The expression that the pattern stands for."""
    compiler = _Compiler(pattern, captures=True)
    compiler.compile()
    return "".join(compiler.regex)


pieces = st.lists(
    st.sampled_from(
        ["{%s}", "*", "**/", "**", "?", "[ab_]", "[!a]", "_", "a", "b", ".", "/", "{%s:%%Y}", "{%s:[ab]+}"]
    )
    | st.sampled_from(
        ["{%s:a|b_}", "{%s:(?:a_?)+}", "{%s:.*}", r"{%s:\w{1,2}}", "{%s:b*?}", "{%s:(?i:A)+b?}"]
    ),
    min_size=1,
    max_size=7,
).map(lambda parts: "".join(p.replace("%s", f"n{i}").replace("%%", "%") for i, p in enumerate(parts)))


@given(pieces, st.text(alphabet="aab__./2\udcff", max_size=9))
@example("{n0}_{n1}_{n2}", "a_b_a_b_a")
@example(r"{n0:(?:a_?)+}{n1}", "a_aa_a")
def test_the_split_that_wins_is_that_of_pythons_engine(pattern: str, path: str) -> None:
    source = sources(pattern)
    found = re.compile(source, re.DOTALL).fullmatch(path)
    assert Program(source).match(path) == (None if found is None else found.groupdict())


HOSTILE = [
    "{a}_{b}_{c}_{d}_{e}.csv",
    "*_*_*_*_*_*_*_*.csv",
    "**_**_**_**x",
    "**/**/**/_{a}_x",
    "{p:(_+)+}",
    "{p:(_|_)+}x",
    "{p:(_*)*}x",
    "{p:(?:_|__|___){1,60}}x",
    r"{p:\W+}{q:_+?}{r:[_.]*}x",
    "{p:%B}{q:%f}_{r:%B}x",
    "[_a]*[_b]*[_c]*[_d]*x",
]


@pytest.mark.parametrize("pattern", HOSTILE)
def test_no_name_takes_more_than_its_length(pattern: str) -> None:
    def too_long(*_: object) -> None:
        raise TimeoutError("not linear")

    before = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(60)  # what is not linear takes hours
    try:
        compiled = compile_pattern(pattern)
        for name in ("_" * 10_000, "_" * 10_000 + ".csv", "_/" * 5_000, "_" * 4_999 + "/" + "_" * 5_000):
            compiled.match(name)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


_TWICE = (
    "a name that is there twice would have to be tried in too many ways here; "
    "give the second another name, or the first a constraint of fixed length"
)


@pytest.mark.parametrize(
    ("constraint", "message"),
    [
        (
            r"(a)\1",
            "a reference to what matched before cannot be matched in linear time; "
            "name the capture and write it twice, {name}…{name}",
        ),
        *(
            (
                constraint,
                "an expression that looks ahead or behind cannot be matched in linear time; "
                "match what is wanted, and put a rule before this one for what is not",
            )
            for constraint in ("(?!x).+", "(?=x).+", "(a(?<=x))", "(?:b|(?<!x)a)*")
        ),
        (
            "(a{1000}){1000}",
            "with its repetitions written out it is longer than 1000 characters; repeat less",
        ),
        (
            "(((a{9}){9}){9}){9}",
            "with its repetitions written out it is longer than 1000 characters; repeat less",
        ),
        ("(" * 60 + "a" + ")" * 60, "groups in more than 50 groups; flatten it"),
    ],
)
def test_what_cannot_be_matched_in_linear_time_is_refused(constraint: str, message: str) -> None:
    with pytest.raises(PatternError) as caught:
        compile_pattern(f"x/{{p:{constraint}}}.csv")
    assert (caught.value.message, caught.value.offset) == (f"{constraint!r}: {message}", 2)


@pytest.mark.parametrize(
    ("pattern", "at"),
    [("{a}_{b}_{c}/{a}.csv", 12), ("{a:(x|y)+}/{a}.csv", 11), ("**/**/{a}_{b}/{a}", 14)],
)
def test_a_name_that_is_there_twice_stands_in_few_ways(pattern: str, at: int) -> None:
    with pytest.raises(PatternError) as caught:
        compile_pattern(pattern)
    assert (caught.value.message, caught.value.offset) == (_TWICE, at)


@pytest.mark.parametrize(
    ("pattern", "path", "captures"),
    [
        ("{a}/{a}_{d:%Y}.csv", "x_y/x_y_2026.csv", {"a": "x_y", "d": "2026"}),
        ("{a}_{b}/{a}_{b}.csv", "x_y_z/x_y_z.csv", {"a": "x_y", "b": "z"}),
        (r"**/{i:[A-Z]{2}\d+}/{i}.csv", "t/DE12/DE12.csv", {"i": "DE12"}),
    ],
)
def test_a_name_may_be_there_twice(pattern: str, path: str, captures: dict[str, str]) -> None:
    assert compile_pattern(pattern).match(path) == captures
