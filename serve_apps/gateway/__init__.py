"""The gateway: OpenAI over HTTP in front, a run's fast path behind it.

One request, file by file: `process.py` follows the run; `server/` owns the socket and reads what clients send;
`front.py` lists the paths, each an `Endpoint` of `http.py`; `openai/chat.py` (or its neighbours) reads the body, as
`openai/form.py` says; `admission.py` makes it a request, `names.py` gives it its id; `dispatch.py` routes its
`flight.py` and has replicas called (`attempt_calls.py`, `replicas.py`) until it ends; the endpoint writes the answer.
Read `front.py`, `openai/chat.py` and `dispatch.py` first.

Beside that walk: `openapi.py` describes the endpoints, `control.py` injects events, `meta.py` holds the
meta-controller.
"""
