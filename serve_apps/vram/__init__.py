"""Who holds how much memory of which GPU. `ledger.py` decides, and knows neither Ray nor torch; `actor.py` hosts it."""
