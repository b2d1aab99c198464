"""The Upload page: a module each for import, problems, labels and splits."""
