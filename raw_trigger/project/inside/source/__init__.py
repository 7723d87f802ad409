"""Finds the files that the code of an asset names, in its source: nothing of it is run.

Texts are put together as the code would: constants, f-strings, paths, module constants, the variables of a
factory, the arguments of the project's helpers. What only a run could tell becomes a
:data:`.values.HOLE`. The result is a hint for people: whatever is not understood is left out.
"""
