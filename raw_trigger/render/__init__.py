"""Plans and outcomes for people and programs. Nothing here decides anything."""
