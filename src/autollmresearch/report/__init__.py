"""Reports to look at: one HTML file of a benchmark or a live study, or of two to compare, that needs nothing else.

`benchmark.py`, `study.py` and `compare.py` say what is shown, as plain JSON data; `landscape.py` and `conversation.py`
make its parts; `page.py` puts the data, plotly.js and the files under `page/` into one file; `server.py` serves it.
"""
