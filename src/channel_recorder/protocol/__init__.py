"""LiveKit on the wire: access tokens, and its messages in the words of `model` and `events`. A leaf."""
