"""What the kinds that search for good parameters share: spaces, algorithms, early ends, and metrics read from what is printed."""
