"""The neighbours of `/v1/realtime`: models, transcriptions, speech and chat, one request each."""
