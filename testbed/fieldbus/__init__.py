"""Modbus and OPC UA: register codec, poll plan, servers and clients. The only home of pymodbus and asyncua."""
