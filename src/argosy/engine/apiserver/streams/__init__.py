"""Connections that are upgraded: exec, attach and port-forward, over WebSocket and SPDY/3.1; codecs pure, loops thin."""
