"""What an object is: its identity, its schema, and the algebra over it. Pure; imports nothing of Argosy but errors."""
