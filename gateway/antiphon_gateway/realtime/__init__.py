"""The OpenAI Realtime vocabulary: client events, server events, session object, conversation.

Pure: no I/O and no clock. Every refusal of a client's input is an `errors.InvalidEvent`.
"""
