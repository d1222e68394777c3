"""Composition: a bench file becomes running roles. The only home of pydantic; imports every room below."""
