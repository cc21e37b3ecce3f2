"""GGUF models on this machine: which are offered, how they are fetched, kept and tried."""
