"""The decoder: compressed audio in, PCM16 out, in a process that may do nothing else."""
