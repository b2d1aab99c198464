"""Feature maps: computed layer by layer, ordered, measured, drawn, traced back to the picture."""
