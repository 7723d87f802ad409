"""What a git hook does: its event, one project or several, and work that is left to the background."""
