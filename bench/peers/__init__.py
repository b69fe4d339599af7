"""The same endpoint as other programs would implement it, each as the documentation of its framework does.

Most read the normalised tables of `bench.relational`; the documents floors and one Go program read the documents that the
product stores. They take two settings, DATABASE_URL and JWT_SECRET, check the same claims as the product (HS256, `exp`, the
scope `sessions.view`, the workspace), and know the filters `clientId`, `serviceIds`, `dateFrom`, `dateTo` and `status`.
"""
