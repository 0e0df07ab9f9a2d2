"""Agents: what thinks inside a controller, and the bounded loop round it.

Read `loop.py` (query, tool calls, observations), then `llm.py` (what is asked and answered; the OpenAI client), then
`tools.py` (typed tools). `rules.py`, `scripted.py` and `replay.py` answer the same queries without a model;
`outage.py` answers them wrongly on purpose. Prompts are Markdown templates in `prompts/`.
The rule agents of the second paper implement the controller ports themselves: `deployers/agent.py`,
`schedulers/agent.py` and `planners/search.py`.
"""
