"""What unpacks a person's working directory in a pod: an init container on any cluster, in any image that has Python."""
