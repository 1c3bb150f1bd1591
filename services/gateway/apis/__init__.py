"""The HTTP APIs, a folder each: the fields of a body, the request made of it, the response written, the route."""
