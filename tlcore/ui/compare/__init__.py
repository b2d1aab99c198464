"""The Compare page: ``sides`` chooses whom to ask, the other modules show what they say."""
