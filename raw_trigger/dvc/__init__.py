"""What the pointer files of DVC stand for."""
