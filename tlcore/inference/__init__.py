"""The warm process that answers for the pages: ``client`` on the page's side, ``tasks`` on its."""
