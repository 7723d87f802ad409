"""Derives rules from what the assets read: a diff of ``raw-trigger.yaml`` that maps exactly that."""

from __future__ import annotations

from raw_trigger.learn.choosing import Asked
from raw_trigger.learn.learning import Learned, Ran, known, learned, plan, record, run, write

__all__ = ["Asked", "Learned", "Ran", "known", "learned", "plan", "record", "run", "write"]
