"""The test protocol of turn-taking: scripted conversations and the figures they give."""
