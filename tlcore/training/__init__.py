"""Training runs: a run is a folder of files and a process; its status is derived from them."""
