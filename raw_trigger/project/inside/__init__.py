"""What runs in the user's interpreter: :mod:`.probe`, :mod:`.runner` and :mod:`.settle`.

``__main__.py`` loads this package by its path, under a name that no user has. The package needs the standard
library and Dagster, nothing else of raw-trigger, and works with Python 3.9 and later.
"""
