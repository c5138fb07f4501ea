"""Our pipeline measured beside what one would use instead. See benchmarks/README.md."""
