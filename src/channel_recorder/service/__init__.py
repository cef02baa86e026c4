"""Recordings over HTTP: start, stop, list and play them, and the page to hold a call on."""
