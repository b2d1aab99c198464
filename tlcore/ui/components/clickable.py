"""HTML of ours in which a thing can be clicked: the click comes back as the thing's name.

On the keyboard all of it is one stop: arrows, Home and End go from thing to thing, Enter picks.
Keys that step work wherever the focus is, but in fields. A step names the thing it leads to: keys
that are pressed faster than the page runs all count.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import streamlit as st

# Steps by keys of the whole page, while the component is on it and no field needs the key.
STEPS_JS = """
const BUSY = 'input, textarea, select, [contenteditable], [role=slider], [role=option], '
  + '[role=radio], [role=radiogroup], [role=tab], [role=combobox], [data-pick]';
function listen(root, keys, step) {
  root.step = step;
  if (root.listens || !keys) return;
  root.listens = (event) => {
    if (!root.isConnected) return document.removeEventListener('keydown', root.listens);
    const by = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    const busy = event.target.closest?.(BUSY);
    if (!by || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (busy && !(event.key.length === 1 && busy.matches('[data-pick], [role=radio]'))) return;
    event.preventDefault();
    root.step(by);
  };
  document.addEventListener('keydown', root.listens);
}
"""
_JS = (
    STEPS_JS
    + """
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
    root.sent = 0;
    root.querySelector('[role=img]')?.setAttribute('role', 'group');
    const things = [...root.querySelectorAll('[data-pick]')];
    for (const thing of things) {
      thing.setAttribute('role', 'button');
      thing.setAttribute('aria-label', thing.textContent || thing.title);
      thing.tabIndex = -1;
    }
    const first = things.find((thing) => thing.dataset.pick === data.chosen)
      || root.querySelector('.chosen') || things[0];
    if (first) first.tabIndex = 0;
    const stop = root.querySelector('.stops [data-pick]');
    if (stop) stop.tabIndex = 0;
    if (first && focused) first.focus();
  }
  const steps = [...root.querySelectorAll('[data-pick]')]
    .filter((thing) => !thing.closest('.stops'));
  const mark = (name) => {
    for (const thing of steps) thing.classList.toggle('chosen', thing.dataset.pick === name);
    root.chosen = name;
  };
  // An answer to an older step must not undo one that is on its way.
  if (data.chosen && (Date.now() - (root.sent || 0) > 2000 || root.chosen === data.chosen)) {
    root.sent = 0;
    mark(data.chosen);
  }
  const send = (name) => {
    if (data.chosen) { root.sent = Date.now(); mark(name); }
    setTriggerValue('picked', name);
  };
  listen(root, data.keys, (by) => {
    const at = steps.findIndex((thing) => thing.dataset.pick === root.chosen);
    if (steps[at + by]) send(steps[at + by].dataset.pick);
  });
  const pick = (event) => {
    const thing = event.target.closest('[data-pick]');
    if (thing) send(thing.dataset.pick);
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
)


def clickable(
    html: str,
    *,
    key: str,
    on_pick: Callable[[str], None],
    chosen: str = "",
    keys: Mapping[str, int] | None = None,
) -> None:
    """Show HTML; a click on an element with ``data-pick`` calls ``on_pick`` with its value.

    Args:
        html: our own words only, everything else escaped.
        key: of this place on the page; the component's and the session's.
        on_pick: called before the fragment runs again.
        chosen: what is marked, at once when it is clicked; by default what the HTML marks itself.
        keys: key of the keyboard → how many things it goes on, with ``chosen``.
    """

    def picked() -> None:
        name = st.session_state[key].get("picked")
        if name:
            on_pick(str(name))

    data = {"html": html, "chosen": chosen, "keys": keys}
    load_component("clickable", _JS)(key=key, data=data, on_picked_change=picked)


@st.cache_resource(show_spinner=False)
def load_component(name: str, script: str) -> Callable[..., object]:
    """Return what mounts a component of ours, whose script is an ES module, on a page."""
    return st.components.v2.component(f"tlcore_{name}", js=script, isolate_styles=False)
