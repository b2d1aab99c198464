"""One module for each command: parse the options, call the core, write the output."""
