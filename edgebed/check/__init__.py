"""The contracts of controllers, as laws that anybody's can be held to: `edgebed check`, and our own tests.

Read first: `law.py` (what a law is), `routers.py`, then `looking.py` (which laws a name is held to).
"""
