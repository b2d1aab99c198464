"""What one layer of a network sees in one image: its feature maps as a page of tiles."""

from tlcore.ui.components.image_picker import image_picker
from tlcore.ui.feature_maps.view import layer_view, network_picker
from tlcore.ui.shell import COMPARE, FEATURE_MAPS, FINE_TUNE, next_steps, page

with page(FEATURE_MAPS) as settings:
    sample = image_picker(settings)
    if ref := network_picker(settings):
        layer_view(sample, ref, settings)
    next_steps(COMPARE, FINE_TUNE)
