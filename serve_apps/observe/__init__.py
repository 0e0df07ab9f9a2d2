"""What an operator sees of a live testbed: metrics and logs.

Read first: `metrics.py` (every metric there is), then `samples.py` (what a process hands over) and `exposition.py`
(what a scraper reads). `requests.py` counts the requests of a run as they end, `gateway.py` and `actors.py` say what
else a gateway and the named actors have to tell, `collector.py` asks the actors at the moment of a scrape. `process.py`
is what every process has.
"""
