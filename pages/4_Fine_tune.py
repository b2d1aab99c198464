"""Teach it your classes: a form that starts a run, or the run one watches."""

from tlcore.ui.fine_tune.form import run_form
from tlcore.ui.fine_tune.run import run_view
from tlcore.ui.fine_tune.run_list import other_runs
from tlcore.ui.shell import FINE_TUNE, boundary, page
from tlcore.ui.state import Choice, chosen

with page(FINE_TUNE) as settings:
    watched = chosen(Choice.RUN)
    with boundary():
        if watched:
            run_view(watched, settings)
        else:
            run_form(settings)
    other_runs(watched, settings)
