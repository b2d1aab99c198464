"""Images become a named dataset: checked, labelled and split."""

from tlcore.ui.shell import UPLOAD, page
from tlcore.ui.upload.view import upload_view

with page(UPLOAD) as settings:
    upload_view(settings)
