"""What Kubernetes itself reconciles: one folder a kind, and ALL names them."""
