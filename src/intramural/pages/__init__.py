"""Pages as pure drawing: a report in, HTML or Markdown out."""
