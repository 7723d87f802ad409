"""What is known of the files that are opened: by this process, by others, in how many folders."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from raw_trigger.project.inside import opened
from raw_trigger.project.inside import reading as inside

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the kernel's word is Linux only")


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    folder = tmp_path.resolve() / "top" / "raw"
    (folder / "deep").mkdir(parents=True)
    for name in ("a", "b", "deep/c", os.fsdecode(b"\xff")):
        (folder / name).write_text("1\n")
    return folder


def watching(raw: Path, **request: Any) -> Any:
    made = inside.Reading({"top": str(raw.parent), "roots": ["raw"], "thorough": False, **request})
    made.start()
    return made


def cat(*paths: Path) -> None:
    subprocess.run(["cat", *paths], check=True, capture_output=True)


def reads(reading: Any, work: Callable[[], Any]) -> dict[str, Any]:
    reading.begin()
    try:
        work()
    finally:
        told = reading.end()
    return dict(told)


@linux
@pytest.mark.parametrize("kind", ["Fanotify", "Inotify"])
def test_what_the_kernel_tells(raw: Path, kind: str) -> None:
    try:
        folders = [str(raw), str(raw / "gone"), str(raw / "deep")]
        watch, everything = opened.watch(folders, (getattr(opened, kind),))
    except AttributeError:
        watch, everything = None, False
    if watch is None:
        pytest.skip("not allowed here")
    assert everything
    own, other = (True, False) if kind == "Fanotify" else (None, None)
    (raw / "a").read_text()
    list((raw / "deep").iterdir())
    (raw / "new").write_text("x")
    cat(raw / "deep" / "c")
    found = list(watch.take())
    assert opened.Opening(str(raw / "a"), own) in found
    assert opened.Opening(str(raw / "deep"), own, listed=True) in found
    assert any(one.path == str(raw / "new") and one.written for one in found)
    assert opened.Opening(str(raw / "deep" / "c"), other) in found
    assert list(watch.take()) == []
    os.close(watch.descriptor)


def test_a_step_has_read_what_is_opened_between_its_beginning_and_its_end(
    raw: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading = watching(raw)
    monkeypatch.chdir(raw)
    (raw.parent / "link").symlink_to(raw)

    def work() -> None:
        Path("a").read_text()
        (raw.parent / "link" / "deep" / ".." / "deep" / "c").read_text()
        Path(os.fsdecode(b"\xff")).read_bytes()
        Path("written").write_text("x")
        Path("written").read_text()
        (raw.parent / "outside").write_text("x")
        list((raw / "deep").iterdir())
        with pytest.raises(FileNotFoundError):
            (raw / "nowhere").read_text()

    assert reading.end() is None
    told = reads(reading, work)
    assert told["files"] == ["raw/a", "raw/deep/c", "raw/\udcff"]
    assert (told["unsure"], told["folders"]) == ([], ["raw/deep"])
    (raw / "b").read_text()
    assert reads(reading, lambda: None)["files"] == []


@linux
def test_what_others_open_is_unsure_and_counts_only_beside_children(raw: Path) -> None:
    reading = watching(raw)
    told = reads(reading, lambda: cat(raw / "b"))
    assert (told["files"], told["unsure"]) == ([], ["raw/b"])
    if not isinstance(reading._kernel, opened.Fanotify):
        return
    if inside._has_children():
        pytest.skip("something else has left a child process")
    # A stranger is no child of the process that watches: here it is the child of a shell that is gone.
    gate = raw.parent / "gate"
    os.mkfifo(gate)
    done = raw.parent / "done"
    cat_later = (
        f"(read x < '{gate}'; cat '{raw}/b' > '{done}.new'; mv '{done}.new' '{done}') > /dev/null 2>&1 &"
    )
    subprocess.run(["sh", "-c", cat_later], check=True)

    def meanwhile() -> None:
        gate.write_text("go\n")
        while not done.exists():
            time.sleep(0.005)

    told = reads(reading, meanwhile)
    assert (told["files"], told["unsure"]) == ([], [])


@linux
def test_where_the_kernel_does_not_say_who_only_what_python_opens_is_sure(
    raw: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    anyone = opened.watch
    monkeypatch.setattr(inside, "watch", lambda folders: anyone(folders, (opened.Inotify,)))
    reading = watching(raw)
    reading.begin()
    (raw / "a").read_text()
    cat(raw / "b")
    told = reading.end()
    if reading._kernel is None:
        pytest.skip("not allowed here")
    assert (told["files"], told["unsure"]) == (["raw/a"], ["raw/b"])


@linux
def test_only_so_many_folders_are_watched_and_it_says_so(raw: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inside, "MOST_FOLDERS", 1)
    assert reads(watching(raw), lambda: None)["complete"] is False
    thorough = watching(raw, thorough=True)
    assert reads(thorough, lambda: None)["complete"] is (thorough._kernel is not None)
    monkeypatch.setattr(inside, "MOST_FOLDERS", 1000)
    monkeypatch.setattr(inside, "MOST_ENTRIES", 1)
    assert reads(watching(raw), lambda: None)["complete"] is False


@linux
def test_what_the_kernel_lost_is_told_after_what_it_kept(raw: Path) -> None:
    watch, _ = opened.watch([str(raw)], (opened.Inotify,))
    if watch is None:
        pytest.skip("not allowed here")
    os.close(watch.descriptor)
    watch.descriptor, writing = os.pipe()
    os.set_blocking(watch.descriptor, False)
    lost = opened._IN_EVENT.pack(-1, opened._IN_Q_OVERFLOW, 0, 0)
    read = opened._IN_EVENT.pack(1, opened._IN_OPEN, 0, 4) + b"a\0\0\0"
    os.write(writing, lost + read)
    taking = watch.take()
    assert next(taking) == opened.Opening(str(raw / "a"), None)
    with pytest.raises(opened.OverflowedError):
        next(taking)
    assert list(watch.take()) == []
    os.close(watch.descriptor)
    os.close(writing)


def test_nothing_is_watched_unless_asked_for(raw: Path) -> None:
    nobody = inside.Reading(None)
    nobody.begin()
    (raw / "a").read_text()
    assert nobody.end() is None
