"""Hooks come and go without a trace, and what others have put there survives."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raw_trigger.errors import GitError, RawTriggerError, UsageError
from raw_trigger.install import (
    HOOKS,
    Installed,
    ShimSettings,
    Written,
    hooks_folder,
    install_hooks,
    installed,
    missing,
    program,
    read_seen,
    rebake,
    seen_command,
    shared_warning,
    uninstall_hooks,
    write_seen,
)
from raw_trigger.install.framework import add_to_precommit_config, framework_entries, install_advice
from tests.conftest import REPOSITORY_TOP
from tests.support.hooked import RAW, Hooked, snapshot

SETTINGS = ShimSettings(("/bin/true",), ("data/1_raw",), ("raw-trigger.yaml",))
OLD_SHIM = "#!/bin/sh\n# raw-trigger hook, format 0\nexec raw-trigger hook pre-commit\n"


@pytest.fixture
def repo(tmp_path: Path) -> Hooked:
    (tmp_path / "repo").mkdir()
    made = Hooked(tmp_path / "repo", tmp_path)
    made.git("init", "-q")
    return made


def install(repo: Hooked, names: tuple[str, ...] = HOOKS) -> list[Written]:
    return install_hooks(repo.top, repo.git_dir, repo.hooks, SETTINGS, names)


def kept(repo: Hooked) -> Path:
    """Where the hooks of others are."""
    return repo.hooks.with_name(f"{repo.hooks.name}.raw-trigger")


def actions(written: list[Written]) -> dict[str, str]:
    return {done.path.name: done.action for done in written}


def test_install_says_what_it_wrote_and_twice_changes_nothing(repo: Hooked) -> None:
    first = install(repo)
    assert [done.path.name for done in first] == ["raw-trigger.sh", *HOOKS]
    assert {done.action for done in first} == {"created"}
    before = snapshot(repo.hooks)
    assert {done.action for done in install(repo)} == {"unchanged"}
    assert snapshot(repo.hooks) == before
    assert all(mode == 0o755 for name, (_, _, mode) in before.items() if name in HOOKS)


def test_installed_and_uninstall(repo: Hooked) -> None:
    assert installed(repo.hooks) == ()
    assert uninstall_hooks(repo.hooks) == []
    install(repo)
    assert installed(repo.hooks) == tuple(Installed(n, repo.hooks / n, None, True) for n in HOOKS)
    assert actions(uninstall_hooks(repo.hooks)) == dict.fromkeys((*HOOKS, "raw-trigger.sh"), "removed")
    assert snapshot(repo.hooks) == {}


def test_some_hooks_only(repo: Hooked) -> None:
    install(repo, ("post-merge",))
    assert [hook.name for hook in installed(repo.hooks)] == ["post-merge"]
    with pytest.raises(UsageError, match="'update' is not a hook of raw-trigger"):
        install(repo, ("update",))


def test_older_hooks_are_replaced(repo: Hooked) -> None:
    repo.hook("pre-commit", OLD_SHIM)
    assert [hook.current for hook in installed(repo.hooks)] == [False]
    assert actions(install(repo))["pre-commit"] == "updated"
    assert not kept(repo).exists()


def test_lost_exec_bit_comes_back(repo: Hooked) -> None:
    install(repo)
    (repo.hooks / "pre-commit").chmod(0o644)
    assert actions(install(repo))["pre-commit"] == "updated"
    assert os.access(repo.hooks / "pre-commit", os.X_OK)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    # Whoever writes that line says that it is ours.
    content=st.binary(max_size=200).filter(lambda content: b"# raw-trigger hook" not in content)
    | st.just(b"#!/bin/sh\nexit 0\n"),
    mode=st.sampled_from([0o755, 0o700, 0o644, 0o444]),
    names=st.sets(st.sampled_from(HOOKS), min_size=1),
)
def test_foreign_hooks_survive(repo: Hooked, content: bytes, mode: int, names: set[str]) -> None:
    """Byte for byte, with their modes, after any number of installs and uninstalls."""
    folder = repo.hooks
    folder.mkdir(exist_ok=True)
    for path in folder.iterdir():
        path.unlink()
    for name in names:
        (folder / name).write_bytes(content)
        (folder / name).chmod(mode)
    before = snapshot(folder)
    install(repo)
    install(repo)
    assert {hook.name for hook in installed(folder) if hook.chained} == names
    uninstall_hooks(folder)
    assert snapshot(folder) == before
    assert uninstall_hooks(folder) == []


@pytest.mark.parametrize("target", ["../../scripts/check", "dispatcher", "/nowhere/at/all"])
def test_links_survive(repo: Hooked, target: str) -> None:
    """Also one that leads nowhere, which git does not run."""
    repo.write({"scripts/check": "#!/bin/sh\n"})
    repo.hooks.mkdir(exist_ok=True)
    for script in (repo.top / "scripts/check", repo.hooks / "dispatcher"):
        script.write_text("#!/bin/sh\n")
        script.chmod(0o755)
    (repo.hooks / "pre-commit").symlink_to(target)
    before = snapshot(repo.hooks)
    chained = next(done for done in install(repo) if done.action == "chained")
    assert (chained.note is None) == (target != "/nowhere/at/all")
    assert (kept(repo) / "pre-commit").is_symlink()
    repo.commit({"other": "1\n"})
    uninstall_hooks(repo.hooks)
    assert snapshot(repo.hooks) == before


def test_chaining_a_hook_that_git_did_not_run_is_said(repo: Hooked) -> None:
    repo.hook("pre-push", "echo\n", 0o644)
    (chained,) = (done for done in install(repo) if done.action == "chained")
    assert chained.path == kept(repo) / "pre-push"
    assert chained.note == "not executable: git did not run it either"


def test_what_has_taken_our_place_is_called_from_now_on(repo: Hooked) -> None:
    """Without us it would be alone there. Of the hook before it nothing is lost, but nobody calls it."""
    repo.hook("post-merge", "#!/bin/sh\n# first\n")
    install(repo)
    repo.hook("post-merge", "#!/bin/sh\n# second\n")
    assert missing(repo.hooks) == ("post-merge",)
    assert [(one.path.name, one.action, one.note) for one in install(repo) if one.action != "unchanged"] == [
        ("post-merge.old", "kept", "not called any more: another post-merge has taken its place since"),
        ("post-merge", "chained", None),
        ("post-merge", "created", None),
    ]
    assert missing(repo.hooks) == ()
    assert (kept(repo) / "post-merge").read_text() == "#!/bin/sh\n# second\n"
    uninstall_hooks(repo.hooks)
    assert {k: v[1] for k, v in snapshot(repo.hooks).items()} == {
        "post-merge": b"#!/bin/sh\n# second\n",
        "post-merge.old": b"#!/bin/sh\n# first\n",
    }
    assert not kept(repo).exists()


def test_uninstall_where_another_tool_has_our_place(repo: Hooked) -> None:
    repo.hook("post-merge", "#!/bin/sh\n# first\n")
    install(repo)
    repo.hook("post-merge", "#!/bin/sh\n# second\n")
    (done,) = (done for done in uninstall_hooks(repo.hooks) if done.action == "kept")
    assert (done.path, done.note) == (
        kept(repo) / "post-merge",
        f"{repo.hooks / 'post-merge'} is of another's making: this is the one from before",
    )
    assert sorted(snapshot(repo.hooks)) == ["post-merge"]


@pytest.mark.parametrize(
    "again", ["#!/bin/sh\n# File generated by tool: https://t\n# v{}\n", "#!/bin/sh\nsame\n"]
)
def test_a_tool_that_overwrites_us_again_is_chained_again(repo: Hooked, again: str) -> None:
    repo.hook("pre-commit", again.format(1))
    install(repo)
    repo.hook("pre-commit", again.format(2))
    assert installed(repo.hooks)[0].name != "pre-commit"
    install(repo)
    assert (kept(repo) / "pre-commit").read_text() == again.format(2)
    repo.hook("pre-commit", again.format(2))
    uninstall_hooks(repo.hooks)
    assert {k: v[1].decode() for k, v in snapshot(repo.hooks).items()} == {"pre-commit": again.format(2)}
    assert not kept(repo).exists()


def test_lefthook_puts_ours_aside_and_we_come_back(repo: Hooked) -> None:
    """It renames what is in its place to NAME.old, once: a second time it fails."""
    repo.hook("pre-commit", "#!/bin/sh\nlefthook one\n")
    for number in (2, 3):
        install(repo)
        (repo.hooks / "pre-commit").rename(repo.hooks / "pre-commit.old")
        repo.hook("pre-commit", f"#!/bin/sh\nlefthook {number}\n")
        assert missing(repo.hooks) == ("pre-commit",)
    install(repo)
    assert (missing(repo.hooks), (repo.hooks / "pre-commit.old").exists()) == ((), False)
    assert (kept(repo) / "pre-commit").read_text() == "#!/bin/sh\nlefthook 3\n"


def test_only_what_was_installed_can_be_missing(repo: Hooked) -> None:
    assert missing(repo.hooks) == ()
    install(repo, ("post-merge",))
    assert missing(repo.hooks) == ()
    install(repo, ("post-commit",))
    rebake(repo.hooks, replace(SETTINGS, roots=("elsewhere",)))
    for name in ("post-merge", "post-commit"):
        (repo.hooks / name).unlink()
    assert missing(repo.hooks) == ("post-commit", "post-merge")


def pre_commit(repo: Hooked, *args: str, tool: str = "pre_commit") -> None:
    environ = {**os.environ, "PRE_COMMIT_HOME": str(repo.top.parent / "cache")}
    subprocess.run(
        [sys.executable, "-m", tool, *args], cwd=repo.top, env=environ, check=True, capture_output=True
    )


@pytest.fixture
def with_pre_commit(repo: Hooked) -> Hooked:
    """One hook of the framework, which writes down that it ran."""
    pytest.importorskip("pre_commit")
    hook = {"id": "note", "name": "note", "language": "system", "entry": "sh -c 'echo ran >>../ran'"}
    hook |= {"always_run": True, "pass_filenames": False}
    repo.commit({".pre-commit-config.yaml": yaml.safe_dump({"repos": [{"repo": "local", "hooks": [hook]}]})})
    return repo


def ran(repo: Hooked) -> int:
    path = repo.top.parent / "ran"
    count = len(path.read_text().splitlines()) if path.exists() else 0
    path.unlink(missing_ok=True)
    return count


@pytest.mark.parametrize("order", ["pi", "ip", "pip", "pipi", "ipi"])
@pytest.mark.parametrize("tool", ["pre_commit", "prek"])
def test_beside_the_framework(with_pre_commit: Hooked, order: str, tool: str) -> None:
    """p: the framework's install, i: ours. In any order each of the two runs exactly once."""
    repo = with_pre_commit
    pytest.importorskip(tool)
    foreign = 0
    for step in order:
        if step == "p":
            pre_commit(repo, "install", tool=tool)
            foreign = 1
        else:
            repo.install()
        assert len(installed(repo.hooks)) in (0, len(HOOKS))
    repo.commit({RAW: "1\n"})
    assert repo.started() == ["pre-commit", "post-commit"]
    assert ran(repo) == foreign
    uninstall_hooks(repo.hooks)
    assert installed(repo.hooks) == ()
    assert not (repo.hooks / "raw-trigger.sh").exists()
    repo.commit({RAW: "2\n"})
    assert repo.started() == []
    assert ran(repo) == foreign


def test_between_two_frameworks(with_pre_commit: Hooked) -> None:
    """pre-commit, then us, then prek on top: no circle, and we are started once."""
    repo = with_pre_commit
    pytest.importorskip("prek")
    pre_commit(repo, "install")
    repo.install()
    pre_commit(repo, "install", tool="prek")
    repo.commit({RAW: "1\n"})
    assert repo.started() == ["pre-commit", "post-commit"]


def test_moved_to_legacy_counts_as_installed(with_pre_commit: Hooked) -> None:
    repo = with_pre_commit
    repo.hook("pre-commit", "#!/bin/sh\n# foreign\n")
    install(repo)
    pre_commit(repo, "install")
    legacy = repo.hooks / "pre-commit.legacy"
    assert installed(repo.hooks)[0].path == legacy
    legacy.write_text(OLD_SHIM)
    assert actions(install(repo))["pre-commit.legacy"] == "updated"
    uninstall_hooks(repo.hooks)
    # Where the framework would have put it without us.
    assert legacy.read_text() == "#!/bin/sh\n# foreign\n"
    pre_commit(repo, "uninstall")
    assert {k: v[1] for k, v in snapshot(repo.hooks).items()} == {"pre-commit": b"#!/bin/sh\n# foreign\n"}


def test_a_file_that_is_in_the_way(repo: Hooked) -> None:
    repo.hook("raw-trigger.sh", "mine\n")
    with pytest.raises(RawTriggerError, match="is not raw-trigger's"):
        install(repo)
    assert uninstall_hooks(repo.hooks) == []
    assert not rebake(repo.hooks, SETTINGS)
    assert sorted(snapshot(repo.hooks)) == ["raw-trigger.sh"]


def test_hooks_turned_off(repo: Hooked) -> None:
    repo.git("config", "core.hooksPath", os.devnull)
    with pytest.raises(RawTriggerError) as error:
        install(repo)
    assert str(error.value) == (
        "the hooks folder /dev/null cannot be written: File exists\n"
        "  see who owns it, and what `git config --show-origin core.hooksPath` says"
    )
    repo.git("config", "core.hooksPath", "")
    with pytest.raises(GitError, match=r"core\.hooksPath is empty"):
        hooks_folder(repo.top)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_folder_that_cannot_be_written(repo: Hooked) -> None:
    repo.hooks.mkdir(exist_ok=True)
    repo.hooks.chmod(0o555)
    with pytest.raises(RawTriggerError, match="cannot be written: Permission denied"):
        install(repo)


def test_hooks_folder_ignores_the_hook_it_is_called_from(
    repo: Hooked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    monkeypatch.setenv("GIT_INDEX_FILE", "/nowhere/index")
    assert hooks_folder(repo.top) == repo.top / ".git" / "hooks"
    assert hooks_folder(repo.top, repo.top / ".git") == repo.top / ".git" / "hooks"


def test_hooks_folder_outside_of_a_repository(tmp_path: Path) -> None:
    with pytest.raises(GitError, match="does not say where its hooks are"):
        hooks_folder(tmp_path)


def test_hooks_folders_that_are_not_this_repositorys_alone(repo: Hooked, tmp_path: Path) -> None:
    def warning(folder: Path) -> str | None:
        return shared_warning(repo.top, repo.git_dir, folder)

    repo.write({".husky/_/.gitignore": "*\n"})
    assert warning(repo.hooks) is None
    assert warning(repo.top / ".husky" / "_") is None
    assert warning(repo.top / ".husky") == (
        f"{repo.top}/.husky is shared through git,"
        " but what is written there is for this machine: do not commit it;"
        ' `raw-trigger hook NAME "$@"` in its own hooks is for everybody'
    )
    assert warning(tmp_path / "all") == (
        f"{tmp_path}/all serves every repository that names it as core.hooksPath, with this one's settings"
    )
    repo.commit({"other": "1\n"})
    repo.git("worktree", "add", "-q", str(tmp_path / "linked"))
    linked = Hooked(tmp_path / "linked", tmp_path)
    assert shared_warning(linked.top, linked.git_dir, linked.hooks) is None
    repo.git("config", "core.hooksPath", ".husky")
    assert install(repo)[0].note == warning(repo.top / ".husky")


def test_rebake(repo: Hooked) -> None:
    assert not rebake(repo.hooks, SETTINGS)
    install(repo)
    assert not rebake(repo.hooks, SETTINGS)
    changed = replace(SETTINGS, roots=("elsewhere",), off=frozenset())
    assert rebake(repo.hooks, changed)
    assert not rebake(repo.hooks, changed)
    text = (repo.hooks / "raw-trigger.sh").read_text()
    assert 'rt_roots() { "$@" elsewhere; }\n' in text
    assert "rt_off=''\n" in text


def test_nothing_outside_the_settings_differs_from_the_shipped_file(repo: Hooked) -> None:
    install(repo)
    shipped = (REPOSITORY_TOP / "hooks" / "raw-trigger.sh").read_text().splitlines()
    ours = (repo.hooks / "raw-trigger.sh").read_text().splitlines()
    begin, end = (
        next(i for i, line in enumerate(shipped) if line.startswith(mark)) for mark in ("# set", "# end")
    )
    assert ours[: begin + 1] == shipped[: begin + 1]
    assert ours[ours.index("# end of settings") :] == shipped[end:]


def test_program(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = tmp_path / "env" / "bin"
    folder.mkdir(parents=True)
    monkeypatch.setattr(sys, "executable", str(folder / "python"))
    monkeypatch.setattr(sys, "argv", ["/somewhere/raw_trigger/__main__.py"])
    assert program() == (str(folder / "python"), "-m", "raw_trigger")
    script = folder / "raw-trigger"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    assert program() == (str(script),)
    (tmp_path / "link").symlink_to(script)
    for called in (script, tmp_path / "link"):
        monkeypatch.setattr(sys, "argv", [str(called)])
        assert program() == (str(script),)
    monkeypatch.setattr(sys, "executable", "")
    with pytest.raises(RawTriggerError):
        program()


def test_marker(repo: Hooked) -> None:
    assert read_seen(repo.git_dir) is None
    write_seen(repo.git_dir, b"one\n")
    write_seen(repo.git_dir, b"two\n")
    assert read_seen(repo.git_dir) == b"two\n"
    assert [path.name for path in (repo.git_dir / "raw-trigger").iterdir()] == ["seen"]


def test_seen_command() -> None:
    assert seen_command(("data/", "."), (), "abc")[-5:] == ("--full-tree", "abc", "--", "data", ".")


ENTRY = """\
- repo: https://example.org/raw-trigger
  rev: v1
  hooks:
    - id: raw-trigger
    - id: raw-trigger-post-commit
    - id: raw-trigger-post-merge
    - id: raw-trigger-post-rewrite
    - id: raw-trigger-post-checkout
    - id: raw-trigger-pre-push
"""
INDENTED = "".join(f"  {line}\n" for line in ENTRY.splitlines())
URL = "https://example.org/raw-trigger"

CONFIGS = {
    "indented": ("repos:\n  - repo: x\n    hooks: []\n", "repos:\n  - repo: x\n    hooks: []\n" + INDENTED),
    "not indented": (
        "repos:\n- repo: x\n  hooks: [{id: a}]\n",
        "repos:\n- repo: x\n  hooks: [{id: a}]\n" + ENTRY,
    ),
    "no newline at the end": ("repos:\n- repo: x", "repos:\n- repo: x\n" + ENTRY),
    "comments and keys after": (
        "# top\nrepos:\n  - repo: x # why\n    hooks:\n      - id: a\n      # - id: b\n"
        "\n# ci\nci: {skip: [a]}\n",
        "# top\nrepos:\n  - repo: x # why\n    hooks:\n      - id: a\n      # - id: b\n"
        + INDENTED
        + "\n# ci\nci: {skip: [a]}\n",
    ),
    "text block last": (
        "repos:\n  - repo: x\n    hooks:\n    - id: a\n      exclude: |\n        ^a/\n        ^b/\nci: {}\n",
        "repos:\n  - repo: x\n    hooks:\n    - id: a\n      exclude: |\n        ^a/\n        ^b/\n"
        + INDENTED
        + "ci: {}\n",
    ),
    "no repos yet": ("repos: []  # none\nci: {}\n", "repos:  # none\n" + INDENTED + "ci: {}\n"),
    "nothing there": ("repos:\nci: {}\n", "repos:\n" + INDENTED + "ci: {}\n"),
    "windows": ("repos:\r\n- repo: x\r\n", "repos:\r\n- repo: x\r\n" + ENTRY.replace("\n", "\r\n")),
}


@pytest.mark.parametrize(("before", "after"), CONFIGS.values(), ids=CONFIGS)
def test_entry_is_added_to_a_configuration(tmp_path: Path, before: str, after: str) -> None:
    path = tmp_path / ".pre-commit-config.yaml"
    path.write_bytes(before.encode())
    path.chmod(0o640)
    assert add_to_precommit_config(path, "v1", URL)
    assert path.read_bytes().decode() == after
    assert path.stat().st_mode & 0o777 == 0o640
    assert not add_to_precommit_config(path, "v2", URL)
    assert not add_to_precommit_config(path, "v1", "https://example.org/fork")
    assert path.read_bytes().decode() == after


def test_new_configuration(tmp_path: Path) -> None:
    path = tmp_path / ".pre-commit-config.yaml"
    assert add_to_precommit_config(path, "v1", URL)
    assert path.read_text() == "repos:\n" + INDENTED
    (tmp_path / "link").symlink_to(path)
    assert not add_to_precommit_config(tmp_path / "link")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a\n", "has no list of repos"),
        ("", "has no list of repos"),
        ("repos: {}\n", "has no list of repos"),
        ("ci: {}\n", "has no list of repos"),
        ("repos: [\n", "cannot be read"),
        ("repos: &r [{repo: *r}]\n", "cannot be read: it contains itself by an alias"),
        ("repos: []\nrepos: []\n", "cannot be read: the name 'repos' is there twice, again on line 2"),
        ("repos: [{repo: x}]\n", "is written in a way that cannot be added to"),
        ("{repos: []}\n", "is written in a way that cannot be added to"),
        ("repos: null\n", "is written in a way that cannot be added to"),
    ],
)
def test_configuration_that_cannot_be_added_to(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / ".pre-commit-config.yaml"
    path.write_text(text)
    with pytest.raises(UsageError, match=message):
        add_to_precommit_config(path, "v1", URL)
    assert path.read_text() == text


@pytest.mark.parametrize("rev", ["1.10", "0e1", "v1: x", "it's", "[", "*a"])
def test_entry_is_read_back_as_it_was_meant(rev: str) -> None:
    (entry,) = yaml.safe_load(framework_entries(rev))
    assert entry["rev"] == rev


def test_manifest() -> None:
    """The manifest has the ids that the entry asks for, one for each stage, and one that runs nothing."""
    *hooks, check = yaml.safe_load((REPOSITORY_TOP / ".pre-commit-hooks.yaml").read_text())
    assert [hook["args"] for hook in hooks] == [[name] for name in HOOKS]
    assert [hook["stages"] for hook in hooks] == [[name] for name in HOOKS]
    assert [{"id": hook["id"]} for hook in hooks] == yaml.safe_load(ENTRY)[0]["hooks"]
    assert all(hook["always_run"] and hook["require_serial"] and not hook["pass_filenames"] for hook in hooks)
    assert (check["entry"], check["args"]) == ("raw-trigger check", ["--strict"])
    tool = [
        sys.executable,
        "-m",
        "pre_commit",
        "validate-manifest",
        str(REPOSITORY_TOP / ".pre-commit-hooks.yaml"),
    ]
    subprocess.run(tool, check=True)


def test_install_advice() -> None:
    assert install_advice() == (
        "run: pre-commit install -t pre-commit -t post-commit -t post-merge -t post-rewrite -t post-checkout"
    )
