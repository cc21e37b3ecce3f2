"""The store: what is kept, one module for each noun, with its statements."""
