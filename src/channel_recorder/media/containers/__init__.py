"""Files that play as they lie: encoded pictures and sound into WebM, MP4, Ogg and AAC files.

`formats` says which container holds what, `templates` makes codec parameters from encoded data,
`output` writes one file.
"""
