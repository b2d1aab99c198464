"""How do you teach it your own classes? The form, or one run; below it the list of all runs."""

from tlcore.ui.fine_tune.form import run_form
from tlcore.ui.fine_tune.run import run_view
from tlcore.ui.fine_tune.run_list import run_list
from tlcore.ui.shell import FINE_TUNE, boundary, page
from tlcore.ui.state import Choice, choose, chosen

with page(FINE_TUNE) as settings:
    run = chosen(Choice.RUN)
    with boundary():
        if run:
            run_view(run, settings)
        else:
            choose(Choice.RUN_VIEW, "")  # a view of no run
            run_form(settings)
    run_list(settings)
