"""What people may send to a page, checked before any operation sees it."""
