"""Composition: a bench file becomes running roles. The only home of pydantic, structlog and prometheus_client."""
