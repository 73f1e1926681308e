"""How many talking sessions one gateway process carries."""
