"""What one layer of a network sees in one image: its feature maps as a page of tiles."""

from tlcore.ui.feature_maps.view import maps_view
from tlcore.ui.shell import COMPARE, FEATURE_MAPS, FINE_TUNE, next_steps, page

with page(FEATURE_MAPS) as settings:
    maps_view(settings)
    next_steps(COMPARE, FINE_TUNE)
