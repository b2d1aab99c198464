"""How good a finished run really is, and what to mend: pure numbers, no Keras."""
