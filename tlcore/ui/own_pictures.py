"""A picture of one's own, right where it is looked at: it goes into the set "My images"."""

from __future__ import annotations

import streamlit as st

from tlcore.datasets.decode import content_id
from tlcore.datasets.sources import from_uploads
from tlcore.datasets.store import add_to_set, import_set
from tlcore.settings import Settings
from tlcore.ui.shell import boundary
from tlcore.ui.state import Choice, choose, generation, renew
from tlcore.ui.words import plain

MY_IMAGES = "My images"


def own_pictures(settings: Settings) -> None:
    """Offer to bring pictures; the first usable one is chosen at once."""
    with st.popover("Add yours", icon=":material/add_a_photo:", width="content"):
        files = st.file_uploader(
            "Pictures from this computer",
            accept_multiple_files=True,
            key=f"own-{generation('own')}",
            max_upload_size=settings.limits.file_bytes // 2**20,
            help=f"They go into the data set “{MY_IMAGES}”.",
        )
        taken = None
        if st.toggle("Use the camera", key="camera"):
            taken = st.camera_input("One picture", key=f"taken-{generation('own')}")
    if files or taken:
        with boundary():
            came = [*files, *([taken] if taken else [])]
            _keep([(file.name, file.getvalue()) for file in came], settings)


def _keep(uploads: list[tuple[str, bytes]], settings: Settings) -> None:
    renew("own")  # first: a set that refuses them must not be asked again with every click
    keep = add_to_set if (settings.datasets / MY_IMAGES).is_dir() else import_set
    report = keep(MY_IMAGES, from_uploads(uploads), settings)
    for refusal in report.refused:
        st.toast(f"{plain(refusal.file)}: {plain(refusal.reason)}", icon=":material/error:")
    here = {sample.sha256 for sample in report.dataset.samples}
    usable = [sha for _, data in uploads if (sha := content_id(data)) in here]
    choose(Choice.SET, MY_IMAGES)
    choose(Choice.LABEL, "")
    choose(Choice.IMAGE, usable[0] if usable else "")
    choose(Choice.STRIP, "")
    st.rerun()
