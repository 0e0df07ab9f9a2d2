"""The state machines both worlds share: no I/O, time is passed in.

Read first: `node.py` (`NodeState`: every executor of one node, its GPUs, cores, lifecycle and condition), then
`job.py` (work and how far it got) and `notices.py` (what a node tells the world around it).
"""

from emulation.executor.job import Job
from emulation.executor.node import NodeState
from emulation.executor.notices import Changed, Ended, Notice, Returned, Started

__all__ = ["Changed", "Ended", "Job", "NodeState", "Notice", "Returned", "Started"]
