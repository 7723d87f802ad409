"""Everything that depends on Dagster's version or on what Dagster keeps private.

It works with Dagster 1.5 to 1.13. The other files see plain values only: :class:`.assets.Node` for an asset,
dictionaries for events and partitions. They pass Dagster's own objects on without looking inside.
"""

from __future__ import annotations

import dagster

VERSION: str = dagster.__version__
