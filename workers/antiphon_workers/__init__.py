"""Workers: one process per share of a stage, one file per engine."""
