"""What watching costs this machine, measured with the unit's own parts: `fallwatch bench`.

source    a 640x480 H.264 film made on the spot        watched   a unit over N cameras, in a process of its own
machine   its name, its load, its int8 matrix rate     loop      cost of the loop, cameras a core carries, memory
network   milliseconds a step by runtime and threads   latency   from confirmed to the broker and the desk
report    the table, the JSON, the picture
"""
