"""What is known of the browser that a request comes from, and the cookies that it is given."""
