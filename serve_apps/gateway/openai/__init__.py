"""The OpenAI API, one endpoint a file. Read `form` first, then `chat`: the others differ only in their shapes.

An endpoint is its body's type, what the body asks of a model (`Ask`), and how the answer is written: in one piece, or
as server-sent events. `bodies` and `answers` hold what several of them share, `conversation` and `items` the turns that
chats and responses are made of; `fields` says what becomes of a field that is not read, and of a body that is wrong.
"""
