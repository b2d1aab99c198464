"""HTML of ours in which a thing can be clicked: the click comes back as the thing's name.

On the keyboard all of it is one stop: arrows, Home and End go from thing to thing, Enter picks.
"""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

_JS = """
// The stops under a bar are reached by Tab of their own, so that End is the last bar.
const group = (thing) => thing.closest('.stops') ?? thing.closest('.clickable');

export default function (component) {
  const { data, parentElement, setTriggerValue } = component;
  let root = parentElement.querySelector('.clickable');
  if (!root) {
    root = document.createElement('div');
    root.className = 'clickable';
    parentElement.appendChild(root);
  }
  if (root.shown !== data.html) {
    const focused = root.contains(document.activeElement);
    root.innerHTML = data.html;
    root.shown = data.html;
    root.querySelector('[role=img]')?.setAttribute('role', 'group');
    const things = [...root.querySelectorAll('[data-pick]')];
    for (const thing of things) { thing.setAttribute('role', 'button'); thing.tabIndex = -1; }
    const first = root.querySelector('.chosen') || things[0];
    if (first) first.tabIndex = 0;
    const stop = root.querySelector('.stops [data-pick]');
    if (stop) stop.tabIndex = 0;
    if (first && focused) first.focus();
  }
  const pick = (event) => {
    const thing = event.target.closest('[data-pick]');
    if (thing) setTriggerValue('picked', thing.dataset.pick);
  };
  const move = (from, to) => {
    from.tabIndex = -1;
    to.tabIndex = 0;
    to.focus();
  };
  root.onclick = pick;
  root.onkeydown = (event) => {
    const things = [...root.querySelectorAll('[data-pick]')]
      .filter((thing) => group(thing) === group(event.target));
    const at = things.indexOf(event.target);
    const last = things.length - 1;
    const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: last }[event.key];
    if (event.key === 'Enter' || event.key === ' ') pick(event);
    else if (at >= 0 && things[to]) move(things[at], things[to]);
    else return;
    event.preventDefault();
  };
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

    load_component("clickable", _JS)(key=key, data={"html": html}, on_picked_change=picked)


@st.cache_resource(show_spinner=False)
def load_component(name: str, script: str) -> Callable[..., object]:
    """Return what mounts a component of ours, whose script is an ES module, on a page."""
    return st.components.v2.component(f"tlcore_{name}", js=script, isolate_styles=False)
