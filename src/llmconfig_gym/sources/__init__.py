"""One module per public table, each -> Suite.

A source module has `ORIGIN` (the repository at a pinned commit), `FILES` (path -> SHA-256), `CARD` (licence,
citation, what was converted) and `make` (downloaded files -> Suite). `download.build` puts the four together.
"""
