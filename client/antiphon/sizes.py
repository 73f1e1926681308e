"""Pure: sizes as text."""


def megabytes(size_bytes: int) -> str:
    """Return a size in units of 10^6 bytes, from 1,000 MB on of 10^9."""
    if size_bytes >= 1e9:
        return f"{size_bytes / 1e9:.1f} GB"
    return f"{size_bytes / 1e6:.1f} MB" if size_bytes < 1e7 else f"{size_bytes / 1e6:.0f} MB"
