"""Launchers carry a plan out."""
