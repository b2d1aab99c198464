"""What is wrong with a set: each picture looked at once, each fault named with what it costs."""
