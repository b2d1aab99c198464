"""The views under a finished run: how good it is, what to mend, and what came of it."""
