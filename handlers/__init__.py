"""One function for each operationId (`sessions`), and the steps around it; README.md lists them in their order."""
