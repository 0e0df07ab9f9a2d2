"""Agents that ask a real, small language model, beside rules and choosers without judgement.

Read `__main__.py` for what is run, `accounts.py` for what is counted and judged, `serve.py` for the model's server.
"""
