"""Final delivery elsewhere than into our own store: files, programs, delivery agents."""
