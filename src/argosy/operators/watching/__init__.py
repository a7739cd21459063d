"""Looking after jobs that ask for it: whether their training gets on, and which rank holds it up when it does not.

Called by the operators of all kinds that train, each of which decides for itself what follows.
"""
