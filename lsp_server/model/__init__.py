"""The model: what it is (catalogue, registry, gguf), how it is fetched, and the one thread that runs it."""
