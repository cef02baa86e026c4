"""Where strangers come in: WebSockets that signal, RoomService over HTTP, webhooks that tell the world outside."""
