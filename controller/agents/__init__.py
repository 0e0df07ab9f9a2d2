"""Reasoners: what thinks inside an agent. Read `reasoner.py`; today there is one reasoner, `rules`.

The agents themselves implement the controller ports: `deployers/agent.py`, `schedulers/agent.py` and
`planners/fluid.py`. A reasoner that asks a language model is another implementation of the same ports.
"""
