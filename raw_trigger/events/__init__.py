"""From what happened to what is compared: (recorded, desired)."""
