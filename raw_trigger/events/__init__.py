"""Turns an event into the two sides to compare: (recorded, desired)."""
