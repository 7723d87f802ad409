"""Turns what happened into what is compared: (recorded, desired)."""
