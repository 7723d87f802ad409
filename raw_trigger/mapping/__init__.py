"""From a path to its targets. Pure: nothing here reads a file."""
