"""Pages over read models; no rules of its own."""
