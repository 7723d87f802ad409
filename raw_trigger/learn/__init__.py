"""Rules from what the assets were seen to read: a diff of ``raw-trigger.yaml`` that maps just that."""

from __future__ import annotations

from raw_trigger.learn.choosing import Asked
from raw_trigger.learn.learning import Learned, Ran, known, learned, plan, record, run, write

__all__ = ["Asked", "Learned", "Ran", "known", "learned", "plan", "record", "run", "write"]
