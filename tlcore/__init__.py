"""See and use transfer learning on images: the core behind the dashboard's pages."""
