"""Shows plans and outcomes to people and programs. Nothing here decides anything."""
