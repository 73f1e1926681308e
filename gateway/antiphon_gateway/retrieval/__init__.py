"""Passages of the owner's documents for the language model to read; no words of them are logged."""
