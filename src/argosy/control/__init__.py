"""The runtime of controllers and operators: informers, the work queue, the runner, leases, events. Sees a client only."""
