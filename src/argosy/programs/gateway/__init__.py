"""The gateway: one OpenAI-compatible endpoint for every model that the cluster serves. Run as a module, in a pod."""
