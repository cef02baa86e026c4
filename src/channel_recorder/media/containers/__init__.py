"""Files that play as they lie: encoded pictures and sound into WebM, MP4, Ogg and AAC files.

`formats` says which container holds what, `webm` writes WebM, `ffmpeg` the others with parameters from `templates`,
`output` is the way in: `open_output`.
"""
