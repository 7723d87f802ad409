"""Drafts a first ``raw-trigger.yaml``: rules and comments from the repository and the Dagster project.

A rule is proposed only if, in the whole file, every file that it decides about leads to something that can be
materialized.
"""

from __future__ import annotations

from raw_trigger.initialize.drafting import draft
from raw_trigger.initialize.looking import Offer, Place, create, find_place, look, offers
from raw_trigger.initialize.values import Draft, Findings, Proposal
from raw_trigger.initialize.workflow import create_workflow

__all__ = [
    "Draft",
    "Findings",
    "Offer",
    "Place",
    "Proposal",
    "create",
    "create_workflow",
    "draft",
    "find_place",
    "look",
    "offers",
]
