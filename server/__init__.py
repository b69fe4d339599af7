"""The program: settings, the application, its pages and its command line."""
