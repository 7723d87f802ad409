"""The words of the project as frozen values. Nothing here reads or writes anything."""
