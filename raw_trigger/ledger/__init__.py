"""The ledger: what was run, when, for which files, and with what outcome, in SQL.

The recorded tree decides what is pending; the ledger explains it. SQLAlchemy is imported only when a database
is used.
"""

from raw_trigger.ledger.ledger import Ledger
from raw_trigger.ledger.owner import owner_alive, process, this_process
from raw_trigger.ledger.times import parse_since, partition_time

__all__ = ["Ledger", "owner_alive", "parse_since", "partition_time", "process", "this_process"]
