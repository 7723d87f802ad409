"""Large files that git does not know are hashed once, and again when they have changed."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from raw_trigger.errors import UsageError
from raw_trigger.repo.hashing import LARGE, hashed
from raw_trigger.repo.repository import Repository
from tests.conftest import Repo


@pytest.fixture
def place(repo: Repo) -> Callable[[str, bytes], bytes]:
    def write(name: str, content: bytes) -> bytes:
        path = repo.top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return os.fsencode(name)

    return write


def ids(top: Path, *names: bytes) -> dict[bytes, str]:
    """What raw-trigger says, and what git says."""
    opened = Repository.discover(top)
    sizes = {name: os.lstat(os.fsencode(top) + b"/" + name).st_size for name in names}
    found = hashed(opened, sizes)
    for name, oid in found.items():
        said = subprocess.run(["git", "hash-object", "--", name], cwd=top, capture_output=True, check=True)
        assert said.stdout.decode().strip() == oid, name
    assert found.keys() == sizes.keys()
    return found


def index(top: Path) -> Path:
    return top / ".git/raw-trigger/cache/large.index"


BIG = b"x" * LARGE


def test_only_large_files_are_remembered(repo: Repo, place: Callable[[str, bytes], bytes]) -> None:
    small = place("small.csv", b"1\n")
    ids(repo.top, small)
    assert not index(repo.top).exists()
    before = loose(repo.top)
    ids(repo.top, small, place("big.csv", BIG), place('a b\n"é.csv', BIG + b"2"))
    assert index(repo.top).exists()
    assert loose(repo.top) == before, "no object is written"


def loose(top: Path) -> int:
    return len(list((top / ".git/objects").glob("[0-9a-f][0-9a-f]/*")))


def test_every_change_is_seen(repo: Repo, place: Callable[[str, bytes], bytes]) -> None:
    """Also of the same size, within a moment, with its time put back, or by another file in its place."""
    big = place("big.csv", BIG)
    seen = [ids(repo.top, big)[big]]
    for number in range(5):
        place("big.csv", BIG[:-1] + str(number).encode())
        seen.append(ids(repo.top, big)[big])
    times = (repo.top / "big.csv").stat()
    place("big.csv", BIG[:-1] + b"t")
    os.utime(repo.top / "big.csv", ns=(times.st_atime_ns, times.st_mtime_ns))
    seen.append(ids(repo.top, big)[big])
    place("other.csv", BIG[:-1] + b"o")
    (repo.top / "other.csv").replace(repo.top / "big.csv")
    seen.append(ids(repo.top, big)[big])
    assert len(set(seen)) == len(seen)


def test_filters(repo: Repo, place: Callable[[str, bytes], bytes]) -> None:
    place(".gitattributes", b"*.csv text eol=crlf\n")
    ids(repo.top, place("lines.csv", b"a,b\r\n" * LARGE))


def test_while_another_process_has_it(repo: Repo, place: Callable[[str, bytes], bytes]) -> None:
    big = place("big.csv", BIG)
    ids(repo.top, big)
    index(repo.top).with_name("large.index.lock").touch()
    place("big.csv", BIG + b"2")
    ids(repo.top, big)


def test_one_that_is_damaged(repo: Repo, place: Callable[[str, bytes], bytes]) -> None:
    big = place("big.csv", BIG)
    ids(repo.top, big)
    index(repo.top).write_bytes(b"no index")
    ids(repo.top, big)


def test_what_is_a_folder_now_or_was_one(repo: Repo, place: Callable[[str, bytes], bytes]) -> None:
    ids(repo.top, place("one", BIG))
    (repo.top / "one").unlink()
    ids(repo.top, place("one/two.csv", BIG))
    (repo.top / "one/two.csv").unlink()
    (repo.top / "one").rmdir()
    ids(repo.top, place("one", BIG + b"3"))


def test_where_every_file_is_read(
    repo: Repo, place: Callable[[str, bytes], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    big = place("big.csv", BIG)
    ids(repo.top, big)
    monkeypatch.setenv("RAW_SCAN_HASH_MODE", "content_hash")
    index(repo.top).unlink()
    ids(repo.top, big)
    assert not index(repo.top).exists()
    monkeypatch.setenv("RAW_SCAN_HASH_MODE", "md5")
    with pytest.raises(UsageError, match="RAW_SCAN_HASH_MODE is 'md5'"):
        ids(repo.top, big)


def test_another_folder(
    repo: Repo, place: Callable[[str, bytes], bytes], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Each working tree has a file of its own there."""
    monkeypatch.setenv("RAW_STATE_DIR", str(tmp_path / "state"))
    repo.commit({"a.csv": "1\n"})
    repo.git("worktree", "add", "-q", "../linked")
    (tmp_path / "linked/big.csv").write_bytes(BIG + b"2")
    ids(repo.top, place("big.csv", BIG))
    ids(tmp_path / "linked", b"big.csv")
    [folder] = (tmp_path / "state").iterdir()
    assert folder.name.startswith("repo-")
    assert sorted(one.name for one in (folder / "cache").iterdir()) == ["large-linked.index", "large.index"]
    assert not index(repo.top).exists()
