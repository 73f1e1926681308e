"""What a graphics card carries: Whisper by size, batch and number format, and Coqui's voices."""
