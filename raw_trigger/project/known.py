"""The catalog as far as it is known: from the cache where that is enough, else loaded just now."""

from __future__ import annotations

from raw_trigger.model.assets import Catalog
from raw_trigger.project.project import DagsterProject


class KnownCatalog:
    """Reads a project's catalog from the cache and loads it afresh, each at most once.

    Args:
        project: The project.
    """

    def __init__(self, project: DagsterProject) -> None:
        self._project = project
        self._fresh: Catalog | None = None
        self._known: Catalog | None = None

    def fresh(self) -> Catalog:
        """Returns the catalog, loaded afresh.

        Raises:
            ProjectError: the project cannot be loaded.
        """
        if self._fresh is None:
            self._fresh = self._project.catalog(fresh=True)
        return self._fresh

    def known(self) -> Catalog:
        """Returns the catalog, from the cache where that is still valid.

        Raises:
            ProjectError: the project cannot be loaded.
        """
        if self._fresh is not None:
            return self._fresh
        if self._known is None:
            self._known = self._project.catalog()
        return self._known

    def forget(self) -> None:
        """Removes from memory what was taken from the cache: the code may have been edited."""
        self._known = None

    @property
    def is_read(self) -> bool:
        """Says whether the project was asked for it, by whatever needed it."""
        return self._known is not None or self._fresh is not None

    @property
    def is_certain(self) -> bool:
        """Says whether it was loaded just now, so that what is not in it is not there."""
        return self._fresh is not None or (self._known is not None and self._known.fresh)

    @property
    def is_cached(self) -> bool:
        """Says whether it was taken from the cache."""
        return self._known is not None and not self.is_certain
