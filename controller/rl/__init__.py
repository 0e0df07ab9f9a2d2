"""Hierarchical deep reinforcement learning (MA section VI): MAPPO chooses routes, one DQN per node its deployment.

Read first: `features.py` (what the agents see), `nets.py` (how that becomes a decision, in numpy: deciding needs no
torch), then the trainers `mappo.py` and `dqn.py`, a file each that reads from top to bottom. `checkpoint.py` reads and
writes weights. The environment they learn in is `edgebed/rl/env.py`; what decides in a run is
`controller/schedulers/mappo.py` and `controller/deployers/dqn.py`.
"""
