"""What runs inside pods: gateway, model server, and the demo's training programs. Imports only errors, meta and client of Argosy."""
