"""What stands for content that is elsewhere."""

from __future__ import annotations

from itertools import pairwise

import pytest

from raw_trigger.dvc.outs import DvcOut, dvc_outs, stage_folders
from raw_trigger.repo.pointers import LfsPointer, is_annex_pointer, lfs_pointer

LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"a" * 64 + b"\nsize 12\n"
MD5 = "b026324c6904b2a9cb4b88d6d61c81d1"


POINTER = LfsPointer("a" * 64, 12)
EXTENSION = b"ext-0-x sha256:" + b"b" * 64 + b"\n"


# What `git lfs pointer --check` 3.3.0 says of each.
@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (LFS, POINTER),
        (LFS.replace(b"oid", EXTENSION + b"oid"), POINTER),
        (LFS.replace(b"oid", EXTENSION + EXTENSION.replace(b"-0-", b"-1-") + b"oid"), POINTER),
        (LFS.replace(b"\n", b"\r\n"), POINTER),
        (LFS.replace(b"\n", b"\n\r\n\n"), POINTER),
        (b"\n " + LFS.strip() + b" \n\n", POINTER),
        (LFS.replace(b"git-lfs.github", b"hawser.github"), POINTER),
        (LFS.replace(b"https://git-lfs.github.com/spec/v1", b"http://git-media.io/v/2"), POINTER),
        (LFS.replace(b"spec/v1", b"spec/v2"), None),
        (LFS.replace(b"size 12", b"size x"), None),
        (LFS.replace(b"sha256", b"md5"), None),
        (LFS.replace(b"aaa", b"AAA"), None),
        (LFS.replace(b"oid", b"ext-x y\noid"), None),
        (LFS.replace(b"oid", b"name y\noid"), None),
        (LFS + b"more\n", None),
        (LFS + b"x y\n", None),
        (b"\xef\xbb\xbf" + LFS, None),
        (b"", None),
    ],
)
def test_lfs(content: bytes, expected: LfsPointer | None) -> None:
    assert lfs_pointer(content) == expected


KEY = b"SHA256E-s3000--" + b"a" * 64 + b".csv"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"/annex/objects/" + KEY + b"\n", True),
        (b"/annex/objects/" + KEY, True),
        (b"/annex/objects/" + KEY + b"\r\n/annex/more\n", True),
        (b"/annex/objects/WORM-s3-m123--a b.csv\n", True),
        (b"../../.git/annex/objects/Ww/gq/" + KEY + b"/" + KEY, True),  # a link, where there are none
        (b".git/annex/objects/Ww/gq/" + KEY + b"/" + KEY, True),
        (b"see /annex/objects/" + KEY + b"\n", False),
        (b"/annex/objects/\n", False),
        (b"/annex/objects/x\n", False),
        (b"path\n/annex/objects/" + KEY + b"\n", False),
        (b"", False),
    ],
)
def test_annex(content: bytes, expected: bool) -> None:
    assert is_annex_pointer(content) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            f"outs:\n- md5: {MD5}\n  size: 2\n  hash: md5\n  path: a.csv\n",
            (DvcOut(b"raw/a.csv", MD5, 2, False, False, MD5),),
        ),
        (f"outs:\n- md5: {MD5}\n  path: a.csv\n", (DvcOut(b"raw/a.csv", MD5, None, False, True, MD5),)),
        (
            f"outs:\n- md5: {MD5}.dir\n  size: 3\n  nfiles: 2\n  hash: md5\n  path: d\n",
            (DvcOut(b"raw/d", MD5 + ".dir", 3, True, False, MD5 + ".dir"),),
        ),
        (
            f"wdir: ..\nouts:\n- md5: {MD5}\n  hash: md5\n  path: é\n",
            (DvcOut("é".encode(), MD5, None, False, False, MD5),),
        ),
        (
            "outs:\n- etag: x\n  hash: etag\n  path: a\n",
            (DvcOut(b"raw/a", None, None, False, True, "1c39944217a1dc7c95acde8bd1414def"),),
        ),
        ("outs:\n- path: ../../a\n", ()),
        ("outs:\n- path: s3://bucket/a\n", ()),
        ("outs:\n- path: a\n  cache: false\n", ()),
        ("outs: 3\n", ()),
    ],
)
def test_dvc(text: str, expected: tuple[DvcOut, ...]) -> None:
    assert dvc_outs(text.encode(), b"raw/a.csv.dvc") == expected


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join(['*' + before] * 9)}]\n" for before, name in pairwise("abcdefgh")
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- outs\n", "it is no mapping"),
        ("a: [\n", "while parsing a flow node"),
        ("\x00", "unacceptable character"),
        (BOMB + "outs:\n- path: a\n  deps: *h\n", "it stands for more than 1000000 values"),
        ("outs:\n- path: a\n  size: 0x" + "f" * 5000, "it has a number of more than 100 digits"),
        ("outs: []\nouts: []\n", "the name 'outs' is there twice, again on line 2"),
    ],
)
def test_what_is_no_file_of_dvcs(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dvc_outs(text.encode(), b"raw/a.csv.dvc")
    assert stage_folders(text.encode()) == {}


LOCK = f"""\
schema: '2.0'
stages:
  first:
    cmd: make
    deps:
    - path: src/in.csv
      md5: {MD5}
    outs:
    - path: 1_raw/a.csv
      hash: md5
      md5: {MD5}
      size: 2
  second@eu:
    cmd: make
    outs:
    - path: b.csv
      hash: md5
      md5: {MD5}
    - path: plot.json
      cache: false
  none:
    cmd: make
"""


def test_the_outs_of_every_stage() -> None:
    folders = stage_folders(
        b"stages: {first: {cmd: make}, second: {foreach: [eu], do: {wdir: 1_raw, cmd: make}}}"
    )
    outs = dvc_outs(LOCK.encode(), b"data/dvc.lock", folders)
    assert [(out.path, out.md5) for out in outs] == [(b"data/1_raw/a.csv", MD5), (b"data/1_raw/b.csv", MD5)]
    first = LOCK.replace("schema: '2.0'\nstages:\n", "").replace("\n  ", "\n").removeprefix("  ")
    assert dvc_outs(first.encode(), b"data/dvc.lock", folders) == outs, "as DVC wrote it at first"


@pytest.mark.parametrize("text", ["", "stages: 3", "stages: {a: 3}", "a: [", "stages: {a: {cmd: x}}"])
def test_a_pipeline_that_names_no_folders(text: str) -> None:
    assert stage_folders(text.encode()) == {}


def test_what_a_person_writes_is_no_identity() -> None:
    text = "outs:\n- etag: x\n  hash: etag\n  path: a\n"
    one, other, third = (
        dvc_outs(t.encode(), b"raw/a.dvc") for t in (text, text + "  desc: d\n", text.replace("x", "y"))
    )
    assert one[0].identity == other[0].identity != third[0].identity
