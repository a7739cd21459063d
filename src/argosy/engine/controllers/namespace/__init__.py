"""Namespace: what every one contains from the start (`contents`), and how one is emptied when it goes (`loop`)."""
