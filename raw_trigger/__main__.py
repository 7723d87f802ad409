"""``python -m raw_trigger``."""

from raw_trigger.cli import main

main()
