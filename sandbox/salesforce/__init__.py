"""Salesforce as its REST, Bulk 2.0 and OAuth guides (v67.0) describe it, on `{sandbox}/salesforce`."""
