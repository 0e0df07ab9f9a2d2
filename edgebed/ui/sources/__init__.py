"""Runs as the page wants them (`views.Source`), made from records and metrics and from nothing else.

Read `source.py` first: what each part of a view is made of. `intake.py` takes what `edgebed.ui.sifting` finds in the
lines of a record up into tables (`requests.py`, `world.py`, `decisions.py`), `recorded.py` opens what lies there.
`followed.py` keeps up with a record that grows (`tail.py`), and adds of what has not ended what gateways and nodes
count (`scrape.py`).
"""

from edgebed.ui.sources.recorded import is_growing as is_growing
from edgebed.ui.sources.recorded import open_run as open_run
from edgebed.ui.sources.recorded import open_runs as open_runs
