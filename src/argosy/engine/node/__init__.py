"""The node agent: pods as sandboxed processes."""
