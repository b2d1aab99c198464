"""One module a command, each thin: read the words, call the core, write the answer."""
