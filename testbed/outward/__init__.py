"""Other people's formats: what leaves the testbed for their tools, and what comes in from them."""
