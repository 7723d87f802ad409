"""Which projects a repository has, and where one works: its roots, configuration, environment, worktrees."""
