"""An emulated PLC: scan cycle, process image and the control program of the water cell."""
