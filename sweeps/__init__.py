"""A search for values: many trials of the training, on one machine or several (docs/scale.md)."""

from stages.run.interrupts import end_quietly_at_ctrl_c
from stages.run.search_path import search_project_last

end_quietly_at_ctrl_c()
search_project_last()  # here, since `python -m` imports this first: no random.py shadows Python's
