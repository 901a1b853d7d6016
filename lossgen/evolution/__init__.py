"""The genetic-programming engine. Knows a runner by its protocol alone."""
