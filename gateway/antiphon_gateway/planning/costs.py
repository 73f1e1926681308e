"""What passing messages on costs, where one machine alone cannot show it.

Measured on sockets of this kind between two processes, one way, medians: a job of 32 kB over ipc
0.10 ms, over tcp with CURVE 0.15 ms; a dispatcher process between them 0.10 ms more.
"""

IPC_MS = 0.1
TCP_MS = 0.15
NETWORK_MS = 0.1
"""One way between two hosts of one room; assumed."""
DISPATCHER_MS = 0.1
DISPATCHER_JOB_MS = 0.35
"""Processor time of a dispatcher process for one job: 2,100 jobs a second were its most beside the
load that made them."""
GATEWAY_SHARE = 0.5
"""How busy a gateway is at most where their number may be chosen."""
