"""What is in files, what of it is on disk, and what is not here yet."""
