"""Thumbnails of one size, of which one or several can be selected by mouse, touch or keyboard."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import streamlit as st
from streamlit import runtime

from tlcore.datasets.dataset import Sample
from tlcore.datasets.thumbnails import load_thumbnail
from tlcore.errors import BadImage
from tlcore.settings import Settings
from tlcore.ui.components.clickable import STEPS_JS, load_component

SENT = 160  # px of a thumbnail as it is sent: sharp at 80 px on a screen of double density
PAGE = 40  # thumbnails of a page of ``select_images``

_JS = (
    STEPS_JS
    + """
export default function (component) {
  const { data, parentElement, setTriggerValue } = component;
  let grid = parentElement.querySelector('.image-grid');
  if (!grid) {
    grid = document.createElement('div');
    parentElement.appendChild(grid);
  }
  const images = JSON.stringify([data.images, data.selectable, data.size]);
  const cells = () => [...grid.children];
  if (grid.images !== images) {
    const hadFocus = grid.contains(document.activeElement);
    grid.className = 'image-grid' + (data.one_row ? ' one-row' : '');
    grid.style.setProperty('--thumbnail', data.size + 'px');
    grid.setAttribute('role', data.selectable ? 'listbox' : 'list');
    grid.setAttribute('aria-label', 'Images');
    if (data.selectable) grid.setAttribute('aria-multiselectable', data.multiple);
    grid.replaceChildren(...data.images.map((image) => cell(image, data)));
    grid.images = images;
    grid.sent = 0;
    if (hadFocus) cells()[0]?.focus();
  }
  // An answer to an older click must not undo a click that is on its way.
  if (Date.now() - (grid.sent || 0) > 2000 || `${grid.selected}` === `${data.selected}`) {
    grid.sent = 0;
    show(grid, data.selected);
  }
  if (!data.selectable) return;
  const choose = (id) => {
    grid.sent = Date.now();
    show(grid, [id]);
    setTriggerValue('selected', { ids: [id] });
  };
  const [before, after] = data.neighbours;
  listen(grid, data.neighbours.length && { ArrowLeft: -1, ArrowRight: 1 }, (by) => {
    const at = cells().findIndex((each) => each.dataset.id === `${grid.selected}`);
    const id = (at < 0 ? undefined : cells()[at + by]?.dataset.id) ?? (by < 0 ? before : after);
    if (id) choose(id);
  });
  grid.onclick = (event) => {
    const at = cells().indexOf(event.target.closest('[data-id]'));
    if (at < 0) return;
    const id = cells()[at].dataset.id;
    let selected = [id];
    if (data.multiple) {
      const others = grid.selected.filter((other) => other !== id);
      selected = others.length < grid.selected.length ? others : [...others, id];
      if (event.shiftKey && grid.last !== undefined) {
        const ends = [grid.last, at].sort((a, b) => a - b);
        const range = cells().slice(ends[0], ends[1] + 1).map((each) => each.dataset.id);
        selected = [...new Set([...grid.selected, ...range])];
      }
    }
    grid.last = at;
    grid.sent = Date.now();
    show(grid, selected);
    cells()[at].focus();
    setTriggerValue('selected', { ids: selected });
  };
  grid.onkeydown = (event) => {
    const all = cells(), at = all.indexOf(event.target);
    if (at < 0) return;
    const row = all.filter((each) => each.offsetTop === all[0].offsetTop).length;
    const to = { ArrowLeft: at - 1, ArrowRight: at + 1, ArrowUp: at - row, ArrowDown: at + row,
                 Home: 0, End: all.length - 1 }[event.key];
    if (event.key === 'Enter' || event.key === ' ') all[at].click();
    else if (all[to]) {
      all.forEach((each) => { each.tabIndex = each === all[to] ? 0 : -1; });
      all[to].focus();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  };
}

function cell(image, data) {
  const add = (parent, tag, values) =>
    parent.appendChild(Object.assign(document.createElement(tag), values));
  const box = document.createElement('div');
  box.dataset.id = image.id;
  box.className = image.faded ? 'faded' : '';
  box.title = image.title;
  box.setAttribute('aria-label', image.title || image.caption);
  box.setAttribute('role', data.selectable ? 'option' : 'listitem');
  const frame = add(box, 'span');
  if (image.url) add(frame, 'img', { loading: 'lazy', alt: '', src: image.url });
  if (image.caption) add(box, 'small', { textContent: image.caption });
  return box;
}

function show(grid, selected) {
  grid.selected = selected;
  const first = [...grid.children].find((each) => selected.includes(each.dataset.id))
    || grid.children[0];
  for (const each of grid.children) {
    const is = selected.includes(each.dataset.id);
    each.classList.toggle('selected', is);
    if (each.getAttribute('role') !== 'option') continue;
    each.setAttribute('aria-selected', is);
    each.tabIndex = each === first ? 0 : -1;
  }
  if (first && grid.classList.contains('one-row')) {
    const inside = first.offsetLeft - grid.offsetLeft;
    const visible = inside >= grid.scrollLeft
      && inside + first.offsetWidth <= grid.scrollLeft + grid.clientWidth;
    if (!visible) grid.scrollLeft = inside - (grid.clientWidth - first.offsetWidth) / 2;
  }
}
"""
)


@dataclass(frozen=True)
class GridImage:
    """One thumbnail."""

    id: str  # what a selection is made of; unique in its grid
    sample: Sample
    title: str = ""  # on hover, and for a screen reader
    caption: str = ""  # below the thumbnail
    faded: bool = False


def image_grid(
    images: Sequence[GridImage],
    settings: Settings,
    *,
    key: str,
    selected: Sequence[str] = (),
    on_select: Callable[[list[str]], None] | None = None,
    multiple: bool = False,
    size: int = 80,
    one_row: bool | tuple[str, str] = False,
) -> None:
    """Show thumbnails; a click, or Enter on the one with the focus, selects.

    Args:
        images: in their order.
        settings: where thumbnails are stored.
        key: of this grid on the page.
        selected: ids of the selected ones.
        on_select: gets the ids that are selected after a click, the last click last, before the
            page runs again; without it nothing can be selected.
        multiple: whether a click adds to or removes from the selection instead of replacing it;
            with Shift held it adds all from the last click on.
        size: px of a thumbnail's side on the page.
        one_row: scroll sideways in one row instead of wrapping. With the ids of the images before
            and after the selected one ("" for none), which may stand on another page, the keys ←
            and → go from image to image.
    """

    def selected_now() -> None:
        value = st.session_state[key].get("selected")
        if value and on_select:
            on_select([str(one) for one in value["ids"]])

    shown = [
        {
            "id": image.id,
            "url": thumbnail_url(image.sample, settings, f"{key}-{place}"),
            "title": image.title,
            "caption": image.caption,
            "faded": image.faded,
        }
        for place, image in enumerate(images)
    ]
    data = {
        "images": shown,
        "selected": list(selected),
        "selectable": on_select is not None,
        "multiple": multiple,
        "size": size,
        "one_row": bool(one_row),
        "neighbours": one_row if isinstance(one_row, tuple) else (),
    }
    load_component("image_grid", _JS)(key=key, data=data, on_selected_change=selected_now)


def select_images(
    name: str,
    images: Sequence[GridImage],
    settings: Settings,
    *,
    key: str = "",
    one_row: bool = False,
) -> list[str]:
    """Show pages of thumbnails of which several can be selected.

    Args:
        name: of the selection, which several grids may share.
        images: all of them.
        settings: where thumbnails are stored.
        key: of this grid on the page; by default the name.
        one_row: scroll sideways in one row instead of wrapping.

    Returns:
        The ids of this grid's selected images on all pages, the last click last.
    """
    key = key or name
    pages = max(1, -(-len(images) // PAGE))
    box = st.container()
    page = st.pagination(pages, key=f"page-{key}-{pages}") if pages > 1 else 1
    shown = images[(page - 1) * PAGE : page * PAGE]
    here = {image.id for image in shown}
    selected = selected_images(name)

    def update(ids: list[str]) -> None:
        others = [other for other in selected_images(name) if other not in here]
        set_selected_images(name, [*others, *ids])

    with box:
        image_grid(
            shown,
            settings,
            key=f"grid-{key}",
            selected=[one for one in selected if one in here],
            on_select=update,
            multiple=True,
            size=92,
            one_row=one_row,
        )
    existing = {image.id for image in images}
    return [one for one in selected if one in existing]


def thumbnails(samples: Sequence[Sample], settings: Settings, *, key: str, size: int = 80) -> None:
    """Show the thumbnails of samples, each with its file name on hover."""
    images = [GridImage(str(at), sample, title=sample.file) for at, sample in enumerate(samples)]
    image_grid(images, settings, key=key, size=size)


def selected_images(name: str) -> list[str]:
    """Return the ids that are selected under a name of ``select_images``."""
    ids: list[str] = st.session_state.get(f"_selected-{name}", [])
    return ids


def set_selected_images(name: str, ids: Sequence[str] = ()) -> None:
    """Replace the selection of a name; by default nothing is selected."""
    st.session_state[f"_selected-{name}"] = list(ids)


def thumbnail_url(sample: Sample, settings: Settings, place: str) -> str:
    """Return the address of a thumbnail on this server, as st.image makes it; "" if it is gone.

    Args:
        sample: the image.
        settings: where thumbnails are stored.
        place: name of its place on the page; the server keeps the file as long as it is in use.
    """
    with suppress(BadImage):
        small = load_thumbnail(sample, settings, SENT)
        return runtime.get_instance().media_file_mgr.add(small, "image/jpeg", place)
    return ""
