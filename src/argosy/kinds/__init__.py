"""The built-in kinds that the engine serves: one file a group of kin, each a `Kind` value with its printer columns."""
