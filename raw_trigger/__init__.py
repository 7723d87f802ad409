"""Materialize exactly the Dagster assets whose raw files changed in git."""

__version__ = "0.1.0"
