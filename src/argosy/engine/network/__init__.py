"""Addresses, services, DNS, ingress: rules are pure, appliers act."""
