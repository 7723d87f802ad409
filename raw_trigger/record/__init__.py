"""What each target reflects: read and moved, under edited rules, after a run, and shared with others."""
