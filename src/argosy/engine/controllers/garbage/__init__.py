"""The garbage collector: deletes what its owners leave behind. `graph` decides, `loop` acts."""
