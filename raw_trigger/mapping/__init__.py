"""Maps paths to targets. Pure: nothing here reads a file."""
