"""Agents: what thinks inside a controller, and the bounded loop round it.

Read `loop.py` (the bounded dialogue that every agent holds), `answers.py` (one valid JSON answer out of it), then
`llm.py` (what is asked and answered; the OpenAI client) and `tools.py` (typed tools). `rules.py`, `scripted.py` and
`replay.py` answer the same queries without a model; `outage.py` answers them wrongly on purpose. Prompts are Markdown
templates in `prompts/`.
The rule agents of the second paper implement the controller ports themselves: `deployers/agent.py`,
`schedulers/agent.py` and `planners/search.py`.
"""
