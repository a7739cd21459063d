"""What the three kinds of `ray.io/v1` share: names, schema, checks, Services, and the way to Ray's dashboard."""
