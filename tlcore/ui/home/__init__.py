"""The Compare page: ``view`` for one image, ``batch`` for many."""
