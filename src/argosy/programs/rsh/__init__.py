"""Starting a command in another pod of the same job: what MPI's launchers call `ssh`, in images that hold no SSH.

`ssh` and `sshd` speak to each other over one TCP connection and trust whoever holds the job's SSH key, which every pod of
an MPIJob mounts; `kubectl` goes through the API server, as MPIJob v1's kubexec.sh does. All three are called by the names
and with the arguments of the programs they stand in for, so manifests, host files and environment stay as they are.

Authenticated both ways, not encrypted: command lines cross the pod network as MPI's own traffic does.
"""
