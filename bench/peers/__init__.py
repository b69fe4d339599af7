"""What a team would pick instead: the same endpoint on the same tables, each as its framework's documentation writes it.

They read two settings, DATABASE_URL and JWT_SECRET, check the same claims as the product (HS256, `exp`, the scope
`sessions.view`, the workspace), and know the filters that the product was asked for first.
"""
