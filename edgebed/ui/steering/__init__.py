"""What somebody wants done to a run that goes on, on its way to the gateway's `/control`. Knows no Ray and no page.

`client.py` asks and says what is answered; the commands `inject`, `undo` and `events` use it as the page does.
"""
