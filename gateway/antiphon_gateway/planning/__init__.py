"""How many conversations given machines hold: the scheduler of production in simulated time."""
