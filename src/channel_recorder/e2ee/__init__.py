"""LiveKit's end-to-end encryption, the receiving side: keys, and how frames and data packets are sealed.

A room of its own, because two rooms open what is sealed (`channel` the data, `recording` the frames) and
because telling what is in clear needs `codecs`. It knows nobody else; sans-IO like they are.
"""
