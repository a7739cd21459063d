"""Which pod goes where. `snapshot`, `filters`, `scores`, `gangs`, `preemption` and `decide` are pure; `loop` acts."""
