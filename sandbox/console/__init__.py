"""The sandbox's own pages: look at records and change them, set faults."""
