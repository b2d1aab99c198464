"""HTML of ours in which a thing can be clicked: the click comes back as the thing's name."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

_JS = """
export default function (component) {
  const { data, parentElement, setTriggerValue } = component;
  let root = parentElement.querySelector('.clickable');
  if (!root) {
    root = document.createElement('div');
    root.className = 'clickable';
    parentElement.appendChild(root);
  }
  if (root.shown !== data.html) {
    root.innerHTML = data.html;
    root.shown = data.html;
  }
  const pick = (event) => {
    const thing = event.target.closest('[data-pick]');
    if (thing) setTriggerValue('picked', thing.dataset.pick);
  };
  root.onclick = pick;
  root.onkeydown = (event) => { if (event.key === 'Enter') pick(event); };
}
"""


def clickable(html: str, *, key: str, on_pick: Callable[[str], None]) -> None:
    """Show HTML; a click on an element with ``data-pick`` calls ``on_pick`` with its value.

    Args:
        html: our own words only, everything else escaped.
        key: of this place on the page; the component's and the session's.
        on_pick: called before the fragment runs again.
    """

    def picked() -> None:
        name = st.session_state[key].get("picked")
        if name:
            on_pick(str(name))

    _component()(key=key, data={"html": html}, on_picked_change=picked)


@st.cache_resource(show_spinner=False)
def _component() -> Callable[..., object]:
    mount: Callable[..., object] = st.components.v2.component(
        "tlcore_clickable", js=_JS, isolate_styles=False
    )
    return mount
