"""Reproductions of the papers: one command each, their tables and figures beside ours.

Read first: `common/` (how any reproduction is run and written), then a paper's `settings.py` (what is run, and what the
paper has) and `run.py` (its parts, in order). `e3/` is E3-Agent, `ma/` is the Multi-Agentic paper.
"""
