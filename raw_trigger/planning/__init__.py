"""Makes the plan: which targets, in which order, and why. Pure; ``plan.py`` lists the passes."""
