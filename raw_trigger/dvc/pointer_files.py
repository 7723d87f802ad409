"""Keeps a record's pointer files in step with its data: each recorded one has all the data that it names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain

from raw_trigger.dvc.data import list_id
from raw_trigger.dvc.tracked import Out, Outs, Tracked, around, partly
from raw_trigger.model.changes import DVC_MODE, DVC_SUFFIX, Entry, is_pointer, show
from raw_trigger.record.data import DATA, Edits, Held, edit, held, parents, place, placed
from raw_trigger.repo import diff
from raw_trigger.repo.repository import Repository
from raw_trigger.repo.trees import stored


class PointerFiles:
    """Reads and edits the pointer files of one repository, for :mod:`raw_trigger.record.successors`."""

    def __init__(self, repo: Repository, roots: Sequence[str]) -> None:
        self._repo = repo
        self._tracked = Tracked(repo, roots)

    def watched(self, tree: str) -> tuple[str, ...]:
        """Returns the raw roots, and the pointer files beside and above them that the tree has."""
        return self._tracked.watched(tree)

    def points(self, path: bytes, *versions: Entry | None) -> bool:
        """Says whether the path is that of a pointer file in one of these versions."""
        return is_pointer(path) and any(self._tracked.outs(path, entry) for entry in versions)

    def followed(self, tree: str, moved: Edits, wanted: Edits) -> dict[bytes, Entry | None]:
        """Returns further edits of a recorded tree that are needed after these files have changed.

        A pointer file is recorded as desired once the record has exactly the data that it names. Until then,
        if some of its data changes, the record has a pointer file that equals no version.

        Args:
            wanted: The pointer files that are to be recorded.
        """
        repo, tracked = self._repo, self._tracked
        before = held(diff.all_paths(repo, tree, (DATA,))) or Held()
        touched = {path: one for path, one in moved.items() if path in before.files or _is_data(one)}
        versions = _versions(repo, tracked, tree, touched, wanted)
        desired = {name: out for _, new in versions.values() for name, out in new.items()}
        named = {*desired, *chain.from_iterable(was for was, _ in versions.values())}
        further = _of_unlisted(tracked, before, touched, desired)
        touched |= further
        opened = {*touched, *chain.from_iterable(map(parents, touched))}
        after = Held(
            {
                path: one
                for path, one in {**before.files, **touched}.items()
                if one is not None and _is_data(one)
            },
            {path: one for path, one in before.lists.items() if path not in opened},
        )
        edits = placed(repo, further, beside=True)
        changed_lists = before.lists.keys() - after.lists.keys() - touched.keys()
        edits |= dict.fromkeys(place(path, whole=True) for path in changed_lists)
        inside, all_inside = _grouped(after.files, desired), _grouped(after.files, named)
        changed = _grouped(touched, named)
        whole = {
            pointer
            for pointer, (_, new) in versions.items()
            if all(_is_there(tracked, out, after, inside.get(name, [])) for name, out in new.items())
        }
        left = [name for name in named - desired.keys() if name in all_inside]
        others = tracked.beside(tree, left).items()
        kept = set(chain.from_iterable(outs for pointer, outs in others if pointer not in versions))
        while True:
            # Data that a pointer file no longer names has to be gone, unless another recorded one names it.
            known = kept.union(*(versions[pointer][1] for pointer in whole))
            early = {
                pointer
                for pointer in whole
                if any(name in all_inside for name in versions[pointer][0].keys() - known)
            }
            if not early:
                break
            whole -= early
        texts: dict[bytes, str] = {}
        for pointer, (was, new) in versions.items():
            if pointer in whole:
                if pointer in wanted:
                    edits[pointer] = wanted[pointer]
                for out in new.values():
                    if out.entry.is_folder:
                        edits.update([edit(out.path, out.entry, len(repo.empty_tree))])
            elif any(name in changed for name in (*was, *new)):
                outs = (*was.values(), *new.values())
                texts[pointer] = partly(pointer, {out.dvc.path: out.dvc.folder for out in outs})
        # Data without a pointer file needs one, so that git alone sees the difference.
        for path in changed.get(None, []):
            if path in after.files:
                texts[path + DVC_SUFFIX] = partly(path + DVC_SUFFIX, {path: False})
        return {**edits, **stored(repo, texts)}


def _is_data(entry: Entry | None) -> bool:
    return entry is not None and entry.mode == DVC_MODE


def _versions(
    repo: Repository, tracked: Tracked, tree: str, touched: Edits, wanted: Edits
) -> dict[bytes, tuple[Outs, Outs]]:
    """Returns what pointer files name, as recorded and as wanted; with those that name the touched paths."""
    recorded = diff.entries_at(repo, tree, list(wanted))
    found: dict[bytes, tuple[Outs, Outs]] = {
        path: (tracked.outs(path, recorded.get(path)), tracked.outs(path, new))
        for path, new in wanted.items()
    }
    known = set(chain.from_iterable((*was, *new) for was, new in found.values()))
    groups = _grouped(touched, known)
    strange = groups.pop(None, [])
    named = [name for name in groups if name is not None]
    for pointer, outs in (tracked.beside(tree, [*named, *strange]) | tracked.naming(tree, strange)).items():
        found.setdefault(pointer, (outs, outs))
    return found


def _of_unlisted(tracked: Tracked, before: Held, touched: Edits, desired: Outs) -> dict[bytes, Entry | None]:
    """Returns the files of folders that were recorded as a whole, if one of their files is recorded now."""
    found: dict[bytes, Entry | None] = {}
    for folder, entry in before.files.items():
        start = folder + b"/"
        if entry.is_folder and any(path.startswith(start) for path in touched):
            found[folder] = None
            known = chain.from_iterable(tracked.members(out) or () for out in desired.values())
            # Nobody knows which content they have; they are not gone.
            found |= {
                path: entry.unlisted for path in known if path.startswith(start) and path not in touched
            }
    # Conversely, a folder that is recorded as a whole replaces its files.
    whole = [path + b"/" for path, one in touched.items() if one is not None and one.is_folder]
    return found | {path: None for path in before.files for start in whole if path.startswith(start)}


def _grouped(paths: Iterable[bytes], names: Iterable[bytes]) -> dict[bytes | None, list[bytes]]:
    """Groups the paths by the name that each is or is in; None if there is none."""
    known, found = set(names), dict[bytes | None, list[bytes]]()
    for path in paths:
        found.setdefault(around(path, known), []).append(path)
    return found


def _is_there(tracked: Tracked, out: Out, data: Held, inside: list[bytes]) -> bool:
    """Says whether the record has exactly the data that the pointer file names."""
    if not out.entry.is_folder or out.entry in (data.files.get(out.path), data.lists.get(out.path)):
        return out.entry in (data.files.get(out.path), data.lists.get(out.path))
    there = {path: data.files[path] for path in inside}
    # If the list is unknown, its id can still be compared.
    names = {show(path[len(out.path) + 1 :]): entry.oid for path, entry in there.items()}
    return there == tracked.members(out) or list_id(names) == out.entry.oid
